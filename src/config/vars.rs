//! `[vars]`: the values of `{vars.NAME}`.

use std::collections::BTreeMap;

use super::diagnostic::Place;
use super::report::Wrong;
use super::table::Table;
use super::{Diagnostic, take};

/// Reads `[vars]`.
pub(super) fn read(table: &Table<'_>) -> Result<BTreeMap<String, String>, Wrong> {
    let mut vars = BTreeMap::new();
    let mut variables: BTreeMap<String, (&str, Place)> = BTreeMap::new();
    let mut outcome = Ok(());
    for (name, place, value) in table.entries() {
        let result = check_name(name).map_err(|reason| {
            let error = Diagnostic::new(format!("`{name}` can't be the name of a var")).at(place.clone().label(reason));
            value.fail_with(error.help("names are made of small letters, digits, `-` and `_`, like `rails-env`"))
        });
        let text = value.string().and_then(|text| if text.is_empty() { Ok(text) } else { take::line(&value) });
        outcome = outcome.and(result).and(text.map(drop));
        vars.extend(text.map(|text| (name.to_owned(), text.to_owned())));
        // The two meet in the environment of tasks, where one would hide the other.
        let variable = variable(name);
        if let Some((other, first)) = variables.get(&variable) {
            let error = Diagnostic::new(format!("the vars `{other}` and `{name}` are the same to a script"))
                .at(place.label(format!("this is `${variable}` too")))
                .see(Some(first.clone().label(format!("this is `${variable}`"))))
                .help("rename one of them");
            outcome = Err(value.fail_with(error));
        } else {
            variables.insert(variable, (name, place));
        }
    }
    outcome.map(|()| vars)
}

/// The environment variable that scripts get the var `name` by.
pub(super) fn variable(name: &str) -> String {
    format!("SHIPIT_VAR_{}", name.to_uppercase().replace('-', "_"))
}

fn check_name(name: &str) -> Result<(), String> {
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("a name begins with a small letter".to_owned());
    }
    let odd = name.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_')));
    odd.map_or(Ok(()), |odd| Err(format!("this holds `{}`", odd.escape_default())))
}
