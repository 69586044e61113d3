//! Watching a host that is back, by the balancers' own counters.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::model::{Host, ServerState};
use crate::transport::Session;

use super::error::{BalancerError, Target};
use super::haproxy::Look;
use super::set::{Balancers, all, looks};
use super::wire::Counters;

/// Fewer faulty answers than this are no evidence: one may be a client's doing, two a coincidence.
const FEWEST_FAULTS: u64 = 3;

/// A host may fail this much more of its requests than its siblings do, in percentage points.
///
/// An app with a broken page or two has the same share on all hosts, so the comparison cancels it out; what is left is
/// chance. Of the thirty requests that make three faults a tenth, chance alone seldom moves that many, and a release
/// that can't reach its database fails far more.
const WORSE_BY: u128 = 10;

/// The pause between looks: a bad release is noticed within a second, and a watch of a minute costs two hundred looks.
const PAUSE: Duration = Duration::from_millis(300);

/// What was counted while a host was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchReport {
    /// The host's own requests.
    pub own: Tally,
    /// The requests of its siblings in the same backends, in the same time.
    pub siblings: Tally,
}

/// Requests, and how many of them failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Requests that ended, well or not.
    pub requests: u64,
    /// Those that ended in a 5xx, without a connection or without a proper response.
    pub faults: u64,
}

/// What a server had counted when it was last looked at, and by which process.
type Seen = BTreeMap<(Target, String), (u32, Counters)>;

impl<S: Session> Balancers<S> {
    /// Watches `host` for `duration` on every balancer that serves it; ends at once when it fails.
    ///
    /// It fails when it leaves service on any of them, or when it had at least 3 faulty answers and their share is more
    /// than 10 percentage points above its siblings' share in the same time.
    pub async fn watch(&self, host: &Host, duration: Duration) -> Result<WatchReport, BalancerError> {
        let end = Instant::now() + duration;
        let held = self.held(host)?;
        let mut report = WatchReport::default();
        let mut seen = Seen::new();
        if held.is_empty() {
            return Ok(report);
        }
        loop {
            let looks = looks(held.iter()).await?;
            let checked = held.iter().zip(&looks).map(|(held, look)| {
                report.add(&mut seen, &held.target, look);
                in_service(&held.target, look)
            });
            all(checked.collect())?;
            if report.is_bad() {
                return Err(BalancerError::Faulty { host: host.name.clone(), report });
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(report);
            }
            sleep(left.min(PAUSE)).await;
        }
    }
}

fn in_service(target: &Target, look: &Look) -> Result<(), BalancerError> {
    let server = look.server(target)?;
    if server.standing.up && server.standing.state == ServerState::Ready {
        return Ok(());
    }
    Err(BalancerError::Left { target: target.clone(), status: server.words() })
}

impl WatchReport {
    /// Whether the host does worse than its siblings.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        // The comparison of two shares, without fractions; counters of 64 bits multiply within 128.
        let [own, own_of] = [self.own.faults, self.own.requests].map(u128::from);
        let [siblings, siblings_of] = [self.siblings.faults, self.siblings.requests.max(1)].map(u128::from);
        let above = (own * siblings_of).saturating_sub(siblings * own_of).saturating_mul(100);
        self.own.faults >= FEWEST_FAULTS && above > (own_of * siblings_of).saturating_mul(WORSE_BY)
    }

    /// Adds what the servers of `target`'s backend have counted since they were last seen.
    fn add(&mut self, seen: &mut Seen, target: &Target, look: &Look) {
        let Some(servers) = look.backends.get(&target.key.backend) else { return };
        for (name, server) in servers {
            let now = (look.info.pid, server.stat.counters);
            let last = seen.insert((target.clone(), name.clone()), now);
            // The first look, and the first after a reload or `clear counters`, is where counting begins.
            let Some((_, last)) = last.filter(|(pid, last)| *pid == now.0 && last.total <= now.1.total) else {
                continue;
            };
            let tally = if *name == target.server.as_str() { &mut self.own } else { &mut self.siblings };
            let grown = |count: fn(&Counters) -> u64| count(&now.1).saturating_sub(count(&last));
            let unserved = grown(|counters| counters.unconnected.saturating_add(counters.unanswered));
            tally.faults = tally.faults.saturating_add(grown(|counters| counters.errors)).saturating_add(unserved);
            tally.requests = tally.requests.saturating_add(grown(|counters| counters.answers)).saturating_add(unserved);
        }
    }
}

impl fmt::Display for WatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { own, siblings } = self;
        write!(f, "{} of {}, against {} of {}", own.faults, own.requests, siblings.faults, siblings.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(own: (u64, u64), siblings: (u64, u64)) -> WatchReport {
        let tally = |(faults, requests)| Tally { requests, faults };
        WatchReport { own: tally(own), siblings: tally(siblings) }
    }

    #[test]
    fn a_host_is_bad_when_it_fails_more_than_its_siblings_and_not_by_chance() {
        for (own, siblings, bad) in [
            ((2, 2), (0, 100), false),
            ((3, 3), (0, 0), true),
            ((3, 30), (0, 100), false),
            ((4, 30), (0, 100), true),
            ((50, 100), (45, 100), false),
            ((50, 100), (10, 100), true),
            ((0, 0), (0, 0), false),
        ] {
            assert_eq!(report(own, siblings).is_bad(), bad, "{own:?} {siblings:?}");
        }
    }
}
