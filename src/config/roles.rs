//! Roles that are named must be some host's.

use std::collections::BTreeSet;

use crate::model::{Host, Role};

use super::report::Wrong;
use super::suggest;
use super::take;
use super::value::Value;

/// A role that some host of `hosts` has; any role, if they could not be read.
pub(super) fn of_a_host(value: &Value<'_>, hosts: Option<&[Host]>) -> Result<Role, Wrong> {
    let role: Role = take::name(value)?;
    let Some(hosts) = hosts else { return Ok(role) };
    let known: BTreeSet<&str> = hosts.iter().flat_map(|host| &host.roles).map(Role::as_str).collect();
    if known.contains(role.as_str()) {
        return Ok(role);
    }
    let near = suggest::closest(role.as_str(), known.iter().copied());
    let label = near.map_or_else(|| "no host has it".to_owned(), |near| format!("did you mean `{near}`?"));
    let error = value.wrong(&format!("names the role `{role}`, which no host has"), label);
    Err(value.fail_with(error.help(format!("the inventory's hosts have {}", suggest::list(known)))))
}
