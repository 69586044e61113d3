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

fn in_flight(value: Value<'_>) -> Result<Amount, Wrong> {
    match take::amount(value.clone())? {
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
    let floor = limits.min_serving.of(total, Rounding::Up);
    let hosts = if total == 1 { "1 host".to_owned() } else { format!("{total} hosts") };
    let complain = |key, message: String, label: String, help: &str| {
        // What is not written has its default, and no place of its own.
        let written = table.has(key);
        let place = if written { table.place_of(key).label(label) } else { table.file().whole() };
        Err(table.file().report(Diagnostic::new(message).at(place).help(help)))
    };
    let share = "use a share such as `\"75%\"`, so that the limit follows the inventory";
    let serving = if floor > total {
        let message = "`limits.min-serving` is larger than the fleet".to_owned();
        complain("min-serving", message, format!("asks for {floor} hosts, role `{role}` has {total}"), share)
    } else if floor == total && strategy == StrategyName::Rolling {
        let message = format!("`limits.min-serving` is {}, all of {hosts} with role `{role}`", limits.min_serving);
        let label = "a rolling deploy could never take one out".to_owned();
        let help = if total == 1 {
            "with one host, a rolling deploy means that nothing serves for a while: write `min-serving = 0` to accept that"
        } else {
            "leave room for at least one host"
        };
        complain("min-serving", message, label, help)
    } else {
        Ok(())
    };
    let failures = limits.max_failures.of(total, Rounding::Down);
    let failing = if failures >= total {
        let message = "`limits.max-failures` never stops a deploy".to_owned();
        complain(
            "max-failures",
            message,
            format!("allows {failures} of {hosts} to fail"),
            "`0` stops at the first failure",
        )
    } else {
        Ok(())
    };
    serving.and(failing)
}
