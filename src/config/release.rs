//! `[release]`: where releases lie and what they are made of.

use crate::model::{Placeholder, ReleaseSpec, Template};

use super::linked;
use super::recipe::Surroundings;
use super::report::Wrong;
use super::table::Table;
use super::template::{Known, Templates, beginning};
use super::value::Value;
use super::{artifact, shell, take};

/// How many releases stay: the running one, the one to go back to, and some to compare with.
const KEEP: u32 = 5;

/// Reads `[release]`.
pub(super) fn read(table: &Table<'_>, around: Surroundings<'_>) -> Result<ReleaseSpec, Wrong> {
    let root = table.required("root", "\"/srv/app\"", |value| root(value, around.templates));
    let keep = take::at_least(2, "a number of releases", "there must be one to go back to, besides the one that runs");
    let keep = table.or("keep", keep, KEEP);
    let example = "{ git = \"https://git.example.com/acme/web.git\", ref = \"main\" }";
    let source = table.required("source", example, |value| artifact::read(value, around));
    let linked = linked::read(table);
    table.finish();
    let (linked_dirs, linked_files) = linked?;
    Ok(ReleaseSpec { root: root?, keep: keep? as usize, source: source?, linked_dirs, linked_files })
}

/// A directory of its own: `releases/` below it is pruned, so a slip here would cost files.
fn root(value: &Value<'_>, templates: Templates<'_>) -> Result<Template, Wrong> {
    let template = templates.line(value, Known::Host)?;
    if !beginning(&template).starts_with('/') {
        let error = value.wrong("must be a path from the root", "this does not begin with `/`");
        return Err(value.fail_with(error.help("write for example `\"/srv/app\"`")));
    }
    // Values of vars are known; those of the others are names and addresses, which hold nothing odd.
    let path = template.render(|placeholder| match placeholder {
        Placeholder::Var(name) => templates.vars.and_then(|vars| vars.get(name)).cloned().unwrap_or_default(),
        other => other.to_string().trim_matches(['{', '}']).to_owned(),
    });
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    let fault = if parts.peek().is_none() {
        "releases need a directory of their own"
    } else if parts.any(|part| matches!(part, "." | "..")) {
        "`.` and `..` hide where releases lie"
    } else if !shell::is_harmless(&path) {
        "a path of letters, digits and `_./:@%+=,-` is needed, as it becomes part of commands"
    } else {
        return Ok(template);
    };
    // With the values of vars, the path is another one than the file's.
    let label = if path == template.to_string() { fault.to_owned() } else { format!("this is `{path}`: {fault}") };
    Err(value.fail("can't be the root of releases", label))
}
