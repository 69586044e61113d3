//! A deploy that something befalls at a point, and the second one that somebody else begins then.

use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::blow::Blows;
use super::end::End;
use super::point::{Awaited, Point};
use super::{Error, Fleet, Result, Shipit};
use crate::shipit::{Origin, Outcome, Output};

/// What is run, and where.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) origin: Origin,
    pub(super) arguments: Vec<&'a str>,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Struck {
    pub(super) first: Outcome,
    /// How long after it was struck.
    pub(super) after: Duration,
    pub(super) second: Option<Outcome>,
    /// When nobody deployed any more.
    pub(super) ended: Instant,
    /// What was done. As long as this is here, whom it stopped stands still.
    pub(super) blows: Blows,
}

/// Runs `first` to its end. At `point`, `end` befalls it, and somebody else may begin with `second`.
pub(super) fn struck(
    shipit: &Shipit,
    fleet: &Fleet,
    first: &Run<'_>,
    second: &Run<'_>,
    end: End,
    point: &Point,
) -> Result<Struck> {
    let (mut awaited, mut blows) = (Awaited::new(point), None);
    let (first, first_ended, second) = thread::scope(|scope| {
        let mut begun: Option<ScopedJoinHandle<'_, Result<Outcome>>> = None;
        let first = shipit.run_watched(&first.origin, &first.arguments, Output::Kept, |run| {
            if let Some(blows) = &mut blows {
                Blows::go_on(blows, run.process);
            } else if awaited.has_come(run.lasts, run.news) {
                let host = fleet.host(awaited.host().unwrap_or("web1"))?;
                blows = Some(Blows::strike(end.blows(), run.process, fleet, &host));
                let other = || shipit.run_watched(&second.origin, &second.arguments, Output::Kept, |_| Ok(()));
                begun = end.brings_a_second().then(|| scope.spawn(other));
            }
            Ok(())
        });
        (first, Instant::now(), begun.map(ScopedJoinHandle::join))
    });
    let (first, ended) = (first?, Instant::now());
    let Some(blows) = blows else {
        return Err(Error::Failed(format!("it ended with {} before it came so far", first.code)));
    };
    let broke_down = |_| Error::Failed("the second deploy broke down: see its panic above".into());
    let second = second.map(|second| second.map_err(broke_down).flatten()).transpose()?;
    Ok(Struck { first, after: first_ended - blows.struck, second, ended, blows })
}
