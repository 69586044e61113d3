//! The running count that all clients write to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::loss::{Loss, Lost};
use super::report::{ClassReport, Report, StreamReport};

/// The running count.
pub struct Tally {
    started: Instant,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    latencies: BTreeMap<&'static str, Vec<Duration>>,
    releases: BTreeMap<String, u64>,
    losses: Vec<Loss>,
    streams: StreamReport,
}

impl Tally {
    /// Starts at nothing.
    pub fn start() -> Self {
        Self { started: Instant::now(), counts: Mutex::default() }
    }

    /// Counts a good answer.
    pub fn answered(&self, class: &'static str, began: Instant, release: &str) {
        let mut counts = self.counts();
        counts.latencies.entry(class).or_default().push(began.elapsed());
        match counts.releases.get_mut(release) {
            Some(count) => *count += 1,
            None => drop(counts.releases.insert(release.to_owned(), 1)),
        }
    }

    /// Counts a loss.
    pub fn lost(&self, class: &'static str, began: Instant, lost: Lost, last_release: &str) {
        self.counts().losses.push(Loss {
            at: began - self.started,
            after: began.elapsed(),
            class,
            kind: lost.kind,
            detail: lost.detail,
            release: lost.release.unwrap_or_else(|| last_release.to_owned()),
        });
    }

    /// Counts a stream whose first event came.
    pub fn stream_opened(&self) {
        self.counts().streams.opened += 1;
    }

    /// Counts a stream that ended although its client wanted more.
    pub fn stream_ended(&self) {
        self.counts().streams.ended += 1;
    }

    /// What has become of streams so far.
    pub fn streams(&self) -> StreamReport {
        self.counts().streams
    }

    /// How many requests are over, and how many of them were lost.
    pub fn so_far(&self) -> (usize, usize) {
        let counts = self.counts();
        let answered: usize = counts.latencies.values().map(Vec::len).sum();
        (answered + counts.losses.len(), counts.losses.len())
    }

    /// Sums up.
    pub fn report(&self) -> Report {
        let mut counts = self.counts();
        let losses = std::mem::take(&mut counts.losses);
        let mut classes = BTreeMap::new();
        for (class, latencies) in &mut counts.latencies {
            let lost = losses.iter().filter(|loss| loss.class == *class).count();
            classes.insert(*class, ClassReport::of(latencies, lost));
        }
        for loss in &losses {
            // A class that never got an answer has no latencies, and must not be missing.
            let lost = || losses.iter().filter(|other| other.class == loss.class).count();
            classes.entry(loss.class).or_insert_with(|| ClassReport::of(&mut Vec::new(), lost()));
        }
        Report {
            lasted: self.started.elapsed(),
            classes,
            releases: std::mem::take(&mut counts.releases),
            streams: counts.streams,
            losses,
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
