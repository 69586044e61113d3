//! The one question that shipit asks.

use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;

use tokio::sync::oneshot;

use crate::model::EnvironmentName;

/// Asks for the environment's name, if there is somebody to ask.
///
/// Without a terminal the command itself is the consent: a CI job can't answer.
pub async fn confirmed(environment: &EnvironmentName) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return true;
    }
    let question = format!("  `{environment}` is protected. Type its name to go on: ");
    let _ = io::stderr().write_all(question.as_bytes());
    // A thread of its own: reading can't be broken off, and the end of shipit must not wait for it.
    let (typed, answer) = oneshot::channel();
    thread::spawn(move || {
        let mut answer = String::new();
        let _ = io::stdin().lock().read_line(&mut answer);
        let _ = typed.send(answer);
    });
    answer.await.is_ok_and(|answer| answer.trim() == environment.as_str())
}
