//! `[limits]`: how much may be out at once, and what must stay.

use crate::model::{Amount, LimitSpec, Rounding, StrategyName};

use super::report::Wrong;
use super::table::Table;
use super::value::Value;
use super::{Diagnostic, take};

/// Reads `[limits]`. The defaults, and why they are so, stand at [`LimitSpec::default`].
pub(super) fn read(table: &Table<'_>) -> Result<LimitSpec, Wrong> {
    let default = LimitSpec::default();
    let max_in_flight = table.or("max-in-flight", in_flight, default.max_in_flight);
    let min_serving = table.or("min-serving", take::amount, default.min_serving);
    let max_failures = table.or("max-failures", take::amount, default.max_failures);
    table.finish();
    Ok(LimitSpec { max_in_flight: max_in_flight?, min_serving: min_serving?, max_failures: max_failures? })
}

fn in_flight(value: &Value<'_>) -> Result<Amount, Wrong> {
    match take::amount(value)? {
        Amount::Count(0) | Amount::Percent(0) => {
            Err(value.fail("must be at least 1", "with no host in flight, nothing is ever deployed"))
        }
        amount => Ok(amount),
    }
}

/// Whether `limits` can be kept on `total` hosts of the app's `role`.
pub(super) fn check(
    table: &Table<'_>,
    limits: LimitSpec,
    strategy: StrategyName,
    role: &str,
    total: usize,
) -> Result<(), Wrong> {
    let hosts = if total == 1 { "1 host".to_owned() } else { format!("{total} hosts") };
    let complain = |key, message: &str, label: String, help: &str| {
        // What is not written has no place of its own.
        let error = if table.has(key) {
            Diagnostic::new(message).at(table.place_of(key).label(label))
        } else {
            let message = format!("{message}: by default, `limits.{key}` {label}");
            Diagnostic::new(message).at(table.file().whole())
        };
        Err(table.file().report(error.help(help)))
    };
    let floor = limits.min_serving.of(total, Rounding::Up);
    let serving = if floor > total {
        let label = format!("asks for {floor} hosts, role `{role}` has {total}");
        let help = "use a share such as `\"75%\"`, so that the limit follows the inventory";
        complain("min-serving", "`limits.min-serving` is larger than the fleet", label, help)
    } else if floor == total && strategy == StrategyName::Rolling {
        let label = format!("keeps {floor} of {hosts} with role `{role}`");
        let help = if total == 1 {
            "add a host; or write `min-serving = 0` in `[limits]`, and nothing serves while it restarts"
        } else {
            "leave room for at least one host"
        };
        complain("min-serving", "a rolling deploy could never take a host out", label, help)
    } else {
        Ok(())
    };
    let failures = limits.max_failures.of(total, Rounding::Down);
    if failures < total {
        return serving;
    }
    let label = format!("lets {failures} of {hosts} fail");
    complain("max-failures", "no number of failures would stop a deploy", label, "`0` stops at the first one")
}
