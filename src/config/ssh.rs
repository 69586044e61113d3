//! `[ssh]`: how hosts are reached.

use std::path::{Path, PathBuf};

use crate::model::SshSpec;

use super::report::Wrong;
use super::table::Table;
use super::take;
use super::value::Value;

/// Reads `[ssh]` of an inventory that lies in `folder`.
pub(super) fn read(table: &Table<'_>, folder: &Path) -> Result<SshSpec, Wrong> {
    let user = table.optional("user", user);
    let config = table.optional("config", |value| config(value, folder));
    table.finish();
    Ok(SshSpec { user: user?, config: config? })
}

/// A login: no option of `ssh`, and one word.
fn user(value: &Value<'_>) -> Result<String, Wrong> {
    let text = take::line(value)?;
    if text.starts_with('-') {
        return Err(value.fail("is not a login", "ssh would take this for an option"));
    }
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-\\".contains(*c)) {
        None => Ok(text.to_owned()),
        Some(odd) => Err(value.fail("is not a login", format!("this holds `{odd}`"))),
    }
}

/// The path of an `ssh_config` that is there.
fn config(value: &Value<'_>, folder: &Path) -> Result<PathBuf, Wrong> {
    let text = take::line(value)?;
    let path = match text.strip_prefix("~/") {
        None => folder.join(text),
        Some(rest) => {
            let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
            home.ok_or_else(|| value.fail("can't be found", "there is no `HOME` for this `~`"))?.join(rest)
        }
    };
    if path.is_file() {
        return Ok(path);
    }
    let label = if path.exists() { "this is not a file" } else { "there is no such file" };
    let error = value.wrong("can't be read", label);
    Err(value.fail_with(error.help(format!("it was looked for at `{}`, next to the inventory", path.display()))))
}
