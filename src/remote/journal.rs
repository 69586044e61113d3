//! The journal of a host: what writes it, and what reads it.

use super::Site;
use super::guard::STATE;
use crate::model::{BadRelease, Host, Journal, ReleaseId, RunId};
use crate::plan::Action;
use crate::transport::{Output, Script};

pub(super) const JOURNAL: &str = include_str!("scripts/journal.sh");

/// Whose records they are, and of what.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The run.
    pub run: &'a RunId,
    /// When the script is sent, by the time of this machine, in UTC.
    pub time: &'a str,
    /// Whether it takes another step back.
    pub undo: bool,
}

/// A record about a run as a whole.
#[derive(Debug, Clone)]
pub struct Note<'a> {
    /// `began` or `ended`.
    pub kind: &'a str,
    /// Names and values; no name may hold `=`.
    pub fields: Vec<(&'static str, String)>,
    /// Releases that are to be marked as bad.
    pub bad: &'a [BadRelease],
}

impl Note<'_> {
    /// The line that has a guard add it to the journal of its host, at `time`.
    #[must_use]
    pub fn line(&self, time: &str) -> String {
        let fields = self.fields.iter().filter(|(_, value)| !value.is_empty());
        let fields = fields.map(|(name, value)| format!("{name}={value}"));
        let bad = self.bad.iter().map(|bad| format!("bad={} {} {}", bad.id, bad.fingerprint, bad.who));
        // Each on this line, and none of them two.
        let plain = |field: String| field.replace(|c: char| c.is_ascii_control(), " ");
        let fields: Vec<String> = fields.chain(bad).map(plain).collect();
        format!("note {} {time} {}", self.kind, fields.join("\t"))
    }
}

impl Site<'_> {
    /// Lets `script`, which does `action`, note in the journal of `host` how that ends.
    #[must_use]
    pub fn recorded(&self, host: &Host, script: Script, action: &Action, stamp: Stamp<'_>) -> Script {
        self.stamped(host, script.between("begin_step\n(\n", "\n)\nleave_step $?\n"), stamp)
            .with("JOURNAL_STEP", action.to_string())
            .with("JOURNAL_RELEASE", action.release().map(ReleaseId::as_str).unwrap_or_default())
            .with("JOURNAL_UNDO", if stamp.undo { "yes" } else { "" })
    }

    fn stamped(&self, host: &Host, script: Script, stamp: Stamp<'_>) -> Script {
        script
            .using(JOURNAL)
            .with("JOURNAL", format!("{}/.shipit/journal", self.root(host)))
            .with("JOURNAL_RUN", stamp.run.as_str())
            .with("JOURNAL_TIME", stamp.time)
    }

    /// The script that prints the newest `records` of the journal of `host`.
    #[must_use]
    pub fn history(&self, host: &Host, records: usize) -> Script {
        history(format!("{}/.shipit", self.root(host)), "", records)
    }
}

/// The script that prints the newest `records` of what guards did at haproxy's `socket`.
#[must_use]
pub fn history_at_balancer(socket: &str, records: usize) -> Script {
    history(String::new(), socket, records)
}

fn history(state: String, socket: &str, records: usize) -> Script {
    Script::new(include_str!("scripts/history.sh"))
        .using(STATE)
        .with("STATE", state)
        .with("SOCKET", socket)
        .with("RECORDS", records.to_string())
}

/// Reads the answer of [`Site::history`].
#[must_use]
pub fn read_history(output: &Output) -> Journal {
    Journal::read(&output.stdout)
}
