//! One server on one balancer while its state is being changed.
//!
//! A reload by somebody else loses every state that was set by hand (measured: 63 of 17,523 requests lost by a drain
//! that did not notice), so each leg remembers which process it gave its order to.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::model::ServerState;
use crate::transport::Session;

use super::error::BalancerError;
use super::haproxy::{Look, Server};
use super::set::{Held, all};

/// For so long after a reload the old process may still take connections from the socket, and with them our orders.
const SETTLE: Duration = Duration::from_secs(2);

/// One server on one balancer.
pub(super) struct Leg<'a, S> {
    pub held: Held<'a, S>,
    /// The state before anything was done.
    pub before: ServerState,
    /// The state that it is to have.
    pub wanted: ServerState,
    /// The process that answered last.
    pid: u32,
    /// The processes that answered before.
    pub old: Vec<u32>,
    /// When another process began to answer.
    changed: Option<Instant>,
}

/// What a leg found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The server is in the state that it is to have, or in one that takes even less traffic.
    Held,
    /// A reload has undone the order, which has been given again.
    Ordered,
}

impl<'a, S: Session> Leg<'a, S> {
    /// A leg whose server is to stay as `look` shows it.
    pub fn new(held: Held<'a, S>, look: &Look) -> Result<Self, BalancerError> {
        let before = look.server(&held.target)?.standing.state;
        let young = look.info.uptime <= SETTLE.as_secs();
        let changed = young.then(Instant::now);
        Ok(Self { held, before, wanted: before, pid: look.info.pid, old: Vec::new(), changed })
    }

    /// Orders `state`. Only a refusal leaves the old order in force; any other failure may have come after the deed.
    pub async fn order(&mut self, state: ServerState) -> Result<(), BalancerError> {
        let was = std::mem::replace(&mut self.wanted, state);
        let result = self.held.haproxy.set(&self.held.target, state).await;
        if let Err(BalancerError::Refused { .. } | BalancerError::NoSuchServer { .. }) = result {
            self.wanted = was;
        }
        result
    }

    /// Notes who answers. Whether another process than before did.
    pub fn meet(&mut self, look: &Look) -> bool {
        let pid = look.info.pid;
        if pid == self.pid {
            return false;
        }
        // While both processes hold the socket, either may answer; only the others are old.
        self.old.retain(|old| *old != pid);
        self.old.push(self.pid);
        self.pid = pid;
        self.changed = Some(Instant::now());
        true
    }

    /// Reads back that the order holds, and gives it again if a reload has undone it.
    pub async fn hold(&mut self, look: &Look) -> Result<Seen, BalancerError> {
        let found = look.server(&self.held.target)?.standing.state;
        let holds = if self.wanted == ServerState::Ready { found == self.wanted } else { found != ServerState::Ready };
        if holds {
            return Ok(Seen::Held);
        }
        if self.changed.is_some_and(|at| at.elapsed() < SETTLE) {
            self.order(self.wanted).await?;
            return Ok(Seen::Ordered);
        }
        Err(self.not_held(found))
    }

    /// Somebody else has put the server into the state `found`.
    pub fn not_held(&self, found: ServerState) -> BalancerError {
        BalancerError::NotHeld { target: self.held.target.clone(), wanted: self.wanted, found }
    }

    /// The process that answered last.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The server in `look`.
    pub fn server<'l>(&self, look: &'l Look) -> Result<&'l Server, BalancerError> {
        look.server(&self.held.target)
    }
}

/// Orders `state` on those of `legs` that `pick` picks, all at once, and tells of every one that refuses.
pub(super) async fn order_all<S: Session>(
    legs: &mut [Leg<'_, S>],
    state: ServerState,
    pick: impl Fn(&Leg<'_, S>) -> bool,
) -> Result<(), BalancerError> {
    let picked = legs.iter_mut().filter(|leg| pick(leg));
    all(join_all(picked.map(|leg| leg.order(state))).await).map(drop)
}
