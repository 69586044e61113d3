//! `linked-dirs` and `linked-files`: what each release links to in `shared/`.

use super::report::Wrong;
use super::table::Table;
use super::take;
use super::value::Value;

/// Both lists, of which no path is another's, or inside another.
pub(super) fn read(table: &Table<'_>) -> Result<(Vec<String>, Vec<String>), Wrong> {
    let dirs = table.optional("linked-dirs", |value| value.list("a list of paths", path));
    let files = table.optional("linked-files", |value| value.list("a list of paths", path));
    let (dirs, files) = (dirs?.unwrap_or_default(), files?.unwrap_or_default());
    let all: Vec<_> = dirs.iter().chain(&files).collect();
    for (at, (path, value)) in all.iter().enumerate() {
        let inside = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        for (other, first) in &all[..at] {
            let (message, label) = if path == other {
                (format!("links `{path}` twice"), "here again".to_owned())
            } else if inside(path, other) {
                (format!("links `{path}`, which lies in `{other}`"), format!("inside `{other}`"))
            } else if inside(other, path) {
                (format!("links `{path}`, which `{other}` lies in"), format!("around `{other}`"))
            } else {
                continue;
            };
            let error = value.wrong(&message, label).see(Some(first.place("linked here")));
            return Err(value.fail_with(error.help("link the outer one or the inner one, not both")));
        }
    }
    let paths = |list: Vec<(String, Value<'_>)>| list.into_iter().map(|(path, _)| path).collect();
    Ok((paths(dirs), paths(files)))
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
    Err(value.fail("must hold paths below the release", fault))
}
