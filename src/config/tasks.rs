//! `[[tasks]]`: scripts at moments of a deploy.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Moment, Role, Task, Template};

use super::recipe::Surroundings;
use super::report::Wrong;
use super::table::Table;
use super::template::{Known, Templates};
use super::{Diagnostic, roles, take};

/// For one task: migrations take minutes, and a task that hangs must still end.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Reads all `[[tasks]]`; those that name no role run where the app does.
pub(super) fn read(root: &Table<'_>, around: Surroundings<'_>, app: Option<&Role>) -> Result<Vec<Task>, Wrong> {
    let tables = root.sections("tasks")?;
    // Collected first, so that the errors of all tasks are reported.
    let tasks: Vec<_> = tables.iter().map(|table| one(table, around, app)).collect();
    let tasks: Vec<Task> = tasks.into_iter().collect::<Result<_, _>>()?;
    let mut outcome = Ok(());
    for (at, task) in tasks.iter().enumerate() {
        if let Some(first) = tasks[..at].iter().position(|other| other.name == task.name) {
            let error = Diagnostic::new(format!("there are two tasks called `{}`", task.name))
                .at(tables[at].place_of("name").label("here again"))
                .see(Some(tables[first].place_of("name").label("first here")))
                .help("the journal knows tasks by their names, so each needs its own");
            outcome = Err(root.file().report(error));
        }
    }
    outcome.map(|()| tasks)
}

fn one(table: &Table<'_>, around: Surroundings<'_>, app: Option<&Role>) -> Result<Task, Wrong> {
    let templates = around.templates;
    let moments = Moment::ALL.map(|moment| (moment.as_str(), moment));
    let name = table.required("name", "\"migrate\"", take::name);
    let at = table.required("at", "\"updated\"", |value| take::one_of(value, &moments));
    let run = table.required("run", "\"bin/rails db:migrate\"", |value| templates.command(value, Known::Release));
    let role = table.optional("role", |value| roles::of_a_host(value, around.hosts));
    let once = table.or("once", take::bool, false);
    let directory = table.optional("directory", |value| templates.line(value, Known::Release));
    let environment = table.section_or_empty("env").and_then(|table| environment(&table, templates));
    let timeout = table.or("timeout", take::duration, TIMEOUT);
    table.finish();
    Ok(Task {
        name: name?,
        at: at?,
        run: run?,
        role: role?.or_else(|| app.cloned()).ok_or(Wrong)?,
        once: once?,
        directory: directory?,
        environment: environment?,
        timeout: timeout?,
    })
}

fn environment(table: &Table<'_>, templates: Templates<'_>) -> Result<BTreeMap<String, Template>, Wrong> {
    let variables: Vec<_> = table
        .entries()
        .into_iter()
        .map(|(name, place, value)| {
            let fault = if name.starts_with("SHIPIT_") {
                Some("names that begin with `SHIPIT_` are shipit's own")
            } else if is_variable(name) {
                None
            } else {
                Some("names are made of capital letters, digits and `_`, and begin with no digit")
            };
            if let Some(fault) = fault {
                let error = Diagnostic::new(format!("`{name}` can't be a variable of a task")).at(place.label(fault));
                return Err(value.fail_with(error));
            }
            Ok((name.to_owned(), templates.text(&value, Known::Release)?))
        })
        .collect();
    variables.into_iter().collect()
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
