//! `[preboot]`: a second set of instances, to boot a release in beside the old one.

use std::time::Duration;

use crate::model::{AppSpec, Instance, PrebootSpec};

use super::app::{ports, uses_port};
use super::report::Wrong;
use super::table::Table;
use super::template::{Known, Templates};
use super::value::Value;
use super::{Diagnostic, take};

/// Long enough to see that a release was a mistake, short enough that nobody pays for twice the memory for long.
const KEEP_WARM: Duration = Duration::from_mins(10);

/// Reads `[preboot]`, beside `app` if that could be read; `hotswap` is whether the recipe has that table.
pub(super) fn read(
    table: &Table<'_>,
    templates: Templates<'_>,
    app: Option<&AppSpec>,
    hotswap: bool,
) -> Result<PrebootSpec, Wrong> {
    let instances = table.required("instances", "[5040, 5041]", |value| second_set(value, app));
    let count = instances.as_ref().map_or(0, Vec::len) + app.map_or(0, |app| app.instances.len());
    let stop = table.required("stop", "\"sudo -n systemctl stop app@{port}\"", |value| {
        let command = templates.command(value, Known::Port)?;
        uses_port(value, command, count, "an instance that serves would be stopped with one that does not")
    });
    let keep_warm = table.or("keep-warm", take::duration_or_none, KEEP_WARM);
    table.finish();
    if !hotswap {
        let error = Diagnostic::new(
            "`[preboot]` needs `[hotswap]`, which says how the local nginx is told where to send traffic",
        )
        .at(table.place("the flip from one set of instances to the other is nginx's"))
        .help("add `[hotswap]` with `upstream`, `server`, `test` and `reload`");
        return Err(table.file().report(error));
    }
    Ok(PrebootSpec { instances: instances?, stop: stop?, keep_warm: keep_warm? })
}

/// As many ports as the app has, and none of its own: the two sets swap their roles with each preboot.
fn second_set(value: &Value<'_>, app: Option<&AppSpec>) -> Result<Vec<Instance>, Wrong> {
    let second = ports(value)?;
    let Some(AppSpec { instances: first, .. }) = app else { return Ok(second) };
    let help = "the two sets swap their roles with each preboot, so they must not overlap and must be of one size";
    if let Some(both) = second.iter().find(|one| first.contains(one)) {
        let says = format!("has the port {both}, which `app.instances` has as well");
        return Err(value.fail_with(value.wrong(&says, "the second set").help(help)));
    }
    if second.len() != first.len() {
        let says = format!("has another number of ports than `app.instances`, which has {}", first.len());
        return Err(value.fail_with(value.wrong(&says, "the second set").help(help)));
    }
    Ok(second)
}
