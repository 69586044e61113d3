//! Events for programs: one JSON object a line. Readers must pass over types and fields that they do not know.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Board, News, Render};
use crate::engine::{Command, Event, Fact, LaneRef, Stamped};
use crate::model::{HostName, is_hidden};
use crate::plan::Action;

/// The version of the form; a change that readers could stumble over raises it.
const VERSION: u32 = 1;

/// Writes the lines.
pub struct Jsonl {
    out: Box<dyn Write + Send>,
    began: Timestamp,
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    /// The first event has it of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
    /// Not `at`, which is the lane.
    time: Timestamp,
    elapsed: f64,
    /// Of the lane, so that readers need not look it up in the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a HostName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<&'static str>,
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

impl Jsonl {
    /// Writes to `out` what happens in a run that began at `began`.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, began: Timestamp) -> Self {
        Self { out, began }
    }
}

impl Render for Jsonl {
    fn event(&mut self, board: &Board, Stamped { elapsed, event }: &Stamped, news: &[News]) {
        let code = match event {
            Event::Finished { outcome } => Some(outcome.end.code()),
            _ => None,
        };
        // Whole milliseconds: more is noise.
        let elapsed = (elapsed.clamp(0.0, 1e9) * 1e3).round() / 1e3;
        let time = self.began.checked_add(Duration::from_secs_f64(elapsed)).unwrap_or(self.began);
        let at = lane_of(event);
        // The board may be at the lane's next step already.
        let ended =
            news.iter().find_map(|news| if let News::StepEnded { action, .. } = news { Some(action) } else { None });
        let verb = ended.or_else(|| board.action(at?)).map(Action::verb);
        let host = at.map(|at| board.host(at));
        let run = (!matches!(event, Event::Planned { .. })).then_some(board.run.as_str());
        let line = Line { v: VERSION, run, time, elapsed, event, host, verb, code };
        // These types always have a JSON form, and nobody is left to be told about a closed pipe.
        let Ok(json) = serde_json::to_string(&line) else { return };
        let _ = writeln!(self.out, "{}", harmless(&json)).and_then(|()| self.out.flush());
    }
}

fn lane_of(event: &Event) -> Option<LaneRef> {
    match event {
        Event::Command(
            Command::Perform { at, .. }
            | Command::Interrupt { at }
            | Command::Undo { at, .. }
            | Command::CloseLane { at, .. },
        )
        | Event::Fact(Fact::StepFinished { at, .. } | Fact::UndoFinished { at, .. })
        | Event::Progress { at, .. } => Some(*at),
        _ => None,
    }
}

/// The same JSON with all that a terminal or a CI system would act on as `\u` escapes; such letters stand in strings only.
fn harmless(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) || (c == '#' && safe.ends_with('#')) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_escaped_and_means_the_same() {
        let text = "\u{9b}1m \u{202e} ##[error] \u{e0041} ß";
        let json = harmless(&serde_json::to_string(text).unwrap());
        assert!(json.chars().all(|c| !is_hidden(c)) && !json.contains("##"), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
