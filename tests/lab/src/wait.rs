//! Waiting: by polling, always with a deadline, and with the log's last lines when it passes.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Short against everything that is awaited here (a fork, a port, a boot), long enough to cost no CPU.
const POLL: Duration = Duration::from_millis(20);

/// How many lines of a log help; more only hides the last one.
const TAIL: usize = 15;

/// Asks `probe` until it answers something, for at most `within`.
///
/// `log` is the file whose end explains a failure.
pub fn until<T>(what: &str, within: Duration, log: Option<&Path>, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = probe() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            let log = log.map(explain).unwrap_or_default();
            return Err(Error::Deadline { what: what.to_owned(), within, log });
        }
        thread::sleep(POLL);
    }
}

fn explain(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    format!("; the end of {}:\n{}", log.display(), last_lines(&text))
}

/// The last lines of a text, indented for printing below a message.
#[must_use]
pub fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines[from..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
