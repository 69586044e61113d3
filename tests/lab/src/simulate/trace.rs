//! What happened in one simulation: a fingerprint to compare two runs by, and the readable history if it is asked for.

use std::time::Duration;

/// The history of one simulation.
#[derive(Debug, Default)]
pub(super) struct Trace {
    is_wanted: bool,
    lines: Vec<String>,
    fingerprint: u64,
}

impl Trace {
    /// A trace that keeps its lines only if they are wanted: writing them takes most of a simulation's time.
    pub(super) fn new(is_wanted: bool) -> Self {
        Self { is_wanted, lines: Vec::new(), fingerprint: 0xcbf2_9ce4_8422_2325 }
    }

    /// Notes that something happened: `tag` and `place` for the fingerprint, `words` for people.
    pub(super) fn say(&mut self, at: Duration, tag: &str, place: usize, words: impl FnOnce() -> String) {
        let time = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        let bytes = tag.bytes().map(u64::from).chain([time, place as u64]);
        self.fingerprint = bytes.fold(self.fingerprint, |hash, byte| (hash ^ byte).wrapping_mul(0x0000_0100_0000_01b3));
        if self.is_wanted {
            self.lines.push(format!("{:>9.3}  {}", at.as_secs_f64(), words()));
        }
    }

    /// Equal for two runs in which the same happened at the same times.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}
