//! The one question that shipit asks.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::model::EnvironmentName;

/// Asks for the environment's name, if there is somebody to ask.
///
/// Without a terminal the command itself is the consent: a CI job can't answer.
pub fn confirmed(environment: &EnvironmentName) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return true;
    }
    eprint!("  `{environment}` is protected. Type its name to go on: ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == environment.as_str()
}
