//! `[app]`: the app's processes.

use std::time::Duration;

use crate::model::{AppSpec, Instance, Placeholder, Template};

use super::recipe::Surroundings;
use super::report::Wrong;
use super::table::Table;
use super::template::Known;
use super::value::Value;
use super::{roles, take};

/// How long a restart may take unless the recipe says otherwise: systemd's own limit for a stop is 90 s, but an app
/// that needs more than a minute to hand over is better told so than waited for.
const RESTART_TIMEOUT: Duration = Duration::from_mins(1);

/// Reads `[app]`, whose commands are run for so many `sets` of instances.
pub(super) fn read(table: &Table<'_>, around: Surroundings<'_>, sets: usize) -> Result<AppSpec, Wrong> {
    let role = table.required("role", "\"app\"", |value| roles::of_a_host(value, around.hosts));
    let instances = table.required("instances", "[4040, 4041]", ports);
    let count = instances.as_ref().map_or(0, Vec::len) * sets;
    let restart = table.required("restart", "\"sudo -n systemctl restart app@{port}\"", |value| {
        let command = around.templates.command(value, Known::Instance)?;
        uses_port(value, command, count, "each would be restarted as often as there are instances")
    });
    let restart_timeout = table.or("restart-timeout", take::duration, RESTART_TIMEOUT);
    let logs = table.optional("logs", |value| around.templates.command(value, Known::Instance));
    table.finish();
    let (role, instances, restart) = (role?, instances?, restart?);
    Ok(AppSpec { role, instances, restart, restart_timeout: restart_timeout?, logs: logs? })
}

/// `template`, which must tell instances apart if there are several; `reason` is what happens otherwise.
pub(super) fn uses_port(
    value: &Value<'_>,
    template: Template,
    instances: usize,
    reason: &str,
) -> Result<Template, Wrong> {
    if instances < 2 || template.placeholders().any(|placeholder| *placeholder == Placeholder::Port) {
        return Ok(template);
    }
    let error = value.wrong(&format!("is the same for all {instances} instances"), "there is no `{port}` in this");
    Err(value.fail_with(error.help(format!("use `{{port}}` in it: {reason}"))))
}

/// A list of ports, none twice.
pub(super) fn ports(value: &Value<'_>) -> Result<Vec<Instance>, Wrong> {
    if value.is_number() {
        let error = value.wrong("must be a list of ports", "this is a number");
        return Err(value.fail_with(error.help("write each instance's port: `[4040, 4041]`")));
    }
    let ports = value.list("a list of ports", |item| {
        let number = item.number("a port")?;
        match u16::try_from(number) {
            Ok(1..) => Ok(Instance(u16::try_from(number).unwrap_or_default())),
            _ => Err(item.fail("must be a port", "ports are numbers from 1 to 65535")),
        }
    })?;
    if ports.is_empty() {
        return Err(value.fail_with(
            value.wrong("is empty", "no process to ship to").help("write each instance's port: `[4040, 4041]`"),
        ));
    }
    for (at, (port, item)) in ports.iter().enumerate() {
        if let Some((_, first)) = ports[..at].iter().find(|(other, _)| other == port) {
            let error = value.wrong(&format!("has the port {port} twice"), "").at(item.place("here again"));
            return Err(item.fail_with(error.see(Some(first.place("first here")))));
        }
    }
    Ok(ports.into_iter().map(|(port, _)| port).collect())
}
