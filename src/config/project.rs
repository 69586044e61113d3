//! The project's folders: which inventories and recipes there are, and reading one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::EnvironmentName;

use super::{Diagnostic, Source, suggest};

/// The names that `folder` of the project has TOML files for, sorted.
pub(super) fn names(project: &Path, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(project.join(folder)).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .filter(|name| name.parse::<EnvironmentName>().is_ok())
        .collect();
    names.sort();
    names
}

/// The file of the inventory of `environment`.
pub(super) fn inventory(project: &Path, environment: &str) -> Result<Arc<Source>, Diagnostic> {
    let folder = path(project, "inventories");
    if !folder.is_dir() {
        return Err(Diagnostic::new(format!("there is no directory `{}`", folder.display()))
            .help(format!("shipit looked in `{}`; for a project elsewhere use `-C DIR`", place(project).display())));
    }
    if environment.parse::<EnvironmentName>().is_err() {
        let message = format!("`{}` is not the name of an environment", environment.escape_default());
        return Err(missing(message, project, "inventories", environment));
    }
    let file = path(project, "inventories").join(format!("{environment}.toml"));
    if is_there(&file) {
        return read(&file);
    }
    let message = format!("there is no environment `{environment}`: `{}` does not exist", file.display());
    Err(missing(message, project, "inventories", environment))
}

/// The file of the recipe `name`.
pub(super) fn recipe(project: &Path, name: &str) -> Result<Arc<Source>, Diagnostic> {
    let file = path(project, "recipes").join(format!("{name}.toml"));
    if is_there(&file) {
        return read(&file);
    }
    let message = format!("there is no recipe `{name}`: `{}` does not exist", file.display());
    Err(missing(message, project, "recipes", name))
}

/// Whether there is something by that name, even if it can't be read: a loop of links, or what another user may see.
fn is_there(file: &Path) -> bool {
    file.try_exists().unwrap_or(true)
}

fn missing(message: String, project: &Path, folder: &str, wanted: &str) -> Diagnostic {
    let names = names(project, folder);
    let near = suggest::closest(wanted, names.iter().map(String::as_str));
    let there = match names.as_slice() {
        [] => format!("there is no file in `{}` yet", path(project, folder).display()),
        names => suggest::what_there_is(names.iter().map(String::as_str)),
    };
    Diagnostic::new(message).maybe_help(near.map(|near| format!("did you mean `{near}`?"))).help(there)
}

fn read(file: &Path) -> Result<Arc<Source>, Diagnostic> {
    let shown = file.display().to_string();
    // Reading a pipe would wait for somebody to write to it.
    if !file.is_file() {
        return Err(Diagnostic::new(format!("`{shown}` can't be read: it is not a file")));
    }
    let bytes = fs::read(file).map_err(|error| Diagnostic::new(format!("`{shown}` can't be read: {error}")))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Arc::new(Source::new(shown, text))),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at].split(|byte| *byte == b'\n').count();
            Err(Diagnostic::new(format!("`{shown}` is not text in UTF-8"))
                .help(format!("line {line} holds a byte that is not; save the file as UTF-8")))
        }
    }
}

/// What `inner` is to the project, as the user would type it: without `./`.
pub(super) fn path(project: &Path, inner: &str) -> PathBuf {
    if project == Path::new(".") { PathBuf::from(inner) } else { project.join(inner) }
}

/// The project's folder in full, for people who are not where they think.
fn place(project: &Path) -> PathBuf {
    fs::canonicalize(project).unwrap_or_else(|_| project.to_owned())
}
