//! Running the programs of the machine.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::wait::last_lines;

/// Where Debian keeps servers; the `PATH` of an ordinary user does not name them.
const SYSTEM: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Runs a program to its end and returns what it printed on standard output.
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().map_err(Error::program(program))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(Error::Command {
        command: format!("{program} {}", arguments.join(" ")),
        status: output.status.to_string(),
        output: last_lines(&(text + &String::from_utf8_lossy(&output.stderr))),
    })
}

/// The path of a program, also of one that only root has in `PATH`.
pub fn find(program: &str) -> Result<String> {
    lookup(program).ok_or_else(|| Error::Refused(format!("`{program}` is not installed")))
}

/// Whether a program is installed.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    lookup(program).is_some()
}

fn lookup(program: &str) -> Option<String> {
    let path = env::var("PATH").unwrap_or_default();
    let directories = path.split(':').chain(SYSTEM);
    let mut candidates = directories.map(|directory| format!("{directory}/{program}"));
    candidates.find(|path| Path::new(path).is_file())
}

/// The name of the user who runs this.
#[must_use]
pub fn user() -> String {
    let id = run("id", &["-un"]).unwrap_or_default();
    id.trim().to_owned()
}
