//! Balancers that say the same of every server.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::set::Balancers;
use crate::model::{BalancerFacts, ServerState};
use crate::transport::Session;

/// As long as the checks of one may lag behind those of another: two or three of them, two seconds apart by default.
const LAG: Duration = Duration::from_secs(10);

/// The pause before they are asked again.
const PAUSE: Duration = Duration::from_millis(500);

impl<S: Session> Balancers<S> {
    /// What is to be seen of every backend on every balancer host, once they agree whose checks pass: a server that the guards of an
    /// earlier run have put back a moment ago is up on one balancer before it is on the next. If they never agree, what they say then.
    pub async fn observe_agreed(&self) -> Vec<BalancerFacts> {
        let end = Instant::now() + LAG;
        loop {
            let seen = self.observe().await;
            if agree(&seen) || Instant::now() >= end {
                return seen;
            }
            sleep(PAUSE).await;
        }
    }
}

/// Whether each server that is to take traffic is up for all balancers of its backend, or for none.
fn agree(seen: &[BalancerFacts]) -> bool {
    let servers =
        seen.iter().flat_map(|facts| facts.servers.iter().map(|(name, server)| ((&facts.key.backend, name), server)));
    let mut is_up = BTreeMap::new();
    servers
        .filter(|(_, server)| server.state == ServerState::Ready)
        .all(|(which, server)| *is_up.entry(which).or_insert(server.up) == server.up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BalancerKey, Reach, ServerFacts};

    fn facts(host: &str, state: ServerState, up: bool) -> BalancerFacts {
        let status = if up { "UP" } else { "DOWN 1/2" }.to_owned();
        let server =
            ServerFacts { state, up, weight: 1, checked: true, status, address: "10.0.0.1".to_owned(), sticky: false };
        BalancerFacts {
            key: BalancerKey { host: host.parse().unwrap(), backend: "app".parse().unwrap() },
            reach: Reach::Reached,
            servers: [("web1".parse().unwrap(), server)].into(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn a_server_that_is_up_on_one_balancer_only_is_looked_at_again() {
        let ready = |host, up| facts(host, ServerState::Ready, up);
        assert!(!agree(&[ready("lb1", true), ready("lb2", false)]));
        assert!(agree(&[ready("lb1", false), ready("lb2", false)]));
        // Nobody waits for what somebody has taken out.
        assert!(agree(&[ready("lb1", true), facts("lb2", ServerState::Maint, false)]));
    }
}
