//! What a run says of itself to whoever finds the lock taken.

use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;

use super::who::who;
use crate::driver::Watchword;
use crate::model::{RunId, clean};

/// A name for a run that begins now. Two may begin in the same second, so it has a random part.
pub fn run_id(now: Timestamp) -> RunId {
    let random = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or_default();
    let stamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    // A clock that is thousands of years off makes a stamp of another form.
    let fallback = || RunId::new("19700101T000000Z", random);
    RunId::new(&stamp, random).or_else(fallback).expect("a stamp of this form makes a run's name")
}

/// What a run says of itself: `does` is its verb and environment.
pub fn watchword(run: &RunId, does: &str, now: Timestamp) -> Watchword {
    let since = now.strftime("%Y-%m-%dT%H:%M:%SZ");
    let holder = [format!("run {run}"), format!("who {}", who()), format!("since {since}"), format!("does {does}")];
    Watchword { run: run.clone(), holder: holder.iter().map(|line| clean(line)).collect() }
}
