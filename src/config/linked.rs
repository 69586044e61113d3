//! `linked-dirs` and `linked-files`: what each release links to in `shared/`.

use super::report::Wrong;
use super::table::Table;
use super::value::Value;
use super::{Diagnostic, take};

/// Both lists, of which no path is another's, or inside another.
pub(super) fn read(table: &Table<'_>) -> Result<(Vec<String>, Vec<String>), Wrong> {
    let dirs = table.optional("linked-dirs", |value| value.list("a list of paths", path));
    let files = table.optional("linked-files", |value| value.list("a list of paths", path));
    let (dirs, files) = (dirs?.unwrap_or_default(), files?.unwrap_or_default());
    let all: Vec<_> = dirs.iter().chain(&files).collect();
    let mut outcome = Ok(());
    for (at, (path, value)) in all.iter().enumerate() {
        let inside = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        for (other, first) in &all[..at] {
            let (message, label) = if path == other {
                (format!("`{path}` is linked twice"), "here again")
            } else if inside(path, other) {
                (format!("`{path}` is linked, and so is `{other}` around it"), "inside")
            } else if inside(other, path) {
                (format!("`{path}` is linked, and so is `{other}` inside it"), "around")
            } else {
                continue;
            };
            let error = Diagnostic::new(message).at(value.place(label)).see(Some(first.place("linked here")));
            outcome = Err(value.fail_with(error.help("link one of them")));
            break;
        }
    }
    let paths = |list: Vec<(String, Value<'_>)>| list.into_iter().map(|(path, _)| path).collect();
    outcome.map(|()| (paths(dirs), paths(files)))
}

/// A path below the release, without a slash at its end.
fn path(value: &Value<'_>) -> Result<String, Wrong> {
    let text = take::line(value)?;
    let path = text.strip_suffix('/').unwrap_or(text);
    let fault = if path.starts_with('/') || path.is_empty() {
        "this begins with `/`, but lies below the release"
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "`.`, `..` and empty names can't be linked"
    } else {
        return Ok(path.to_owned());
    };
    Err(value.fail("must be a path below the release", fault))
}
