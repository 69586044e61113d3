//! What a load came to: a table for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use super::loss::{Loss, LossKind};

/// Losses come in crowds of the same kind; the first few tell the story.
const LOSSES_SHOWN: usize = 12;

/// What a load came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How long it lasted.
    #[serde(with = "crate::span")]
    pub lasted: Duration,
    /// Each class of clients, by name.
    pub classes: BTreeMap<&'static str, ClassReport>,
    /// How many good answers each release gave.
    pub releases: BTreeMap<String, u64>,
    /// What became of streams.
    pub streams: StreamReport,
    /// Every loss, in order.
    pub losses: Vec<Loss>,
}

/// What became of streams; an end is no loss.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct StreamReport {
    /// Streams that were opened.
    pub opened: usize,
    /// Those that ended although their clients wanted more.
    pub ended: usize,
}

/// What one class of clients saw.
#[derive(Debug, Clone, Serialize)]
pub struct ClassReport {
    /// Requests sent.
    pub sent: usize,
    /// Requests lost.
    pub failed: usize,
    /// The median time to a good answer.
    #[serde(with = "crate::span")]
    pub p50: Duration,
    /// The time that 99 of 100 good answers took at most.
    #[serde(with = "crate::span")]
    pub p99: Duration,
    /// The longest time to a good answer.
    #[serde(with = "crate::span")]
    pub max: Duration,
}

impl ClassReport {
    /// Sums up the latencies of good answers, and the number of losses.
    pub(super) fn of(latencies: &mut [Duration], failed: usize) -> Self {
        latencies.sort_unstable();
        let at = |percent: usize| {
            let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
            latencies.get(index).copied().unwrap_or_default()
        };
        Self { sent: latencies.len() + failed, failed, p50: at(50), p99: at(99), max: at(100) }
    }
}

impl Report {
    /// Requests sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.classes.values().map(|class| class.sent).sum()
    }

    /// Requests lost.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.losses.len()
    }

    /// The losses by kind.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<LossKind, usize> {
        let mut kinds = BTreeMap::new();
        for loss in &self.losses {
            *kinds.entry(loss.kind).or_default() += 1;
        }
        kinds
    }

    /// The losses, for a person who has to find out why: empty if there are none.
    #[must_use]
    pub fn losses_explained(&self) -> String {
        let mut text = String::new();
        for (kind, count) in self.kinds() {
            let _ = writeln!(text, "  {count:>6} × {kind}");
        }
        for loss in self.losses.iter().take(LOSSES_SHOWN) {
            let Loss { at, after, class, kind, detail, release } = loss;
            let (at, after) = (at.as_secs_f64(), after.as_millis());
            let _ =
                writeln!(text, "  at {at:>7.3} s  {class:<21}  {kind} after {after} ms: {detail} (release {release})");
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<21} {:>8} {:>7} {:>8} {:>8} {:>8}", "ms", "sent", "failed", "p50", "p99", "max")?;
        for (name, class) in &self.classes {
            let ClassReport { sent, failed, p50, p99, max } = class;
            let [p50, p99, max] = [p50, p99, max].map(|time| time.as_secs_f64() * 1000.0);
            writeln!(f, "{name:<21} {sent:>8} {failed:>7} {p50:>8.1} {p99:>8.1} {max:>8.1}")?;
        }
        let releases: Vec<String> = self.releases.iter().map(|(id, count)| format!("{id} × {count}")).collect();
        writeln!(f, "answered by: {}", releases.join(", "))?;
        if self.streams.opened > 0 {
            writeln!(f, "{} streams, {} ended", self.streams.opened, self.streams.ended)?;
        }
        writeln!(f, "{} requests, {} failed, {:.1} s", self.sent(), self.failed(), self.lasted.as_secs_f64())?;
        f.write_str(&self.losses_explained())
    }
}
