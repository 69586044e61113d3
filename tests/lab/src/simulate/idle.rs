//! Two sets of instances on a host, of which one is live: nginx's move from one to the other, and the end of those that get no
//! traffic, now or by a process of the host's own that comes to it later.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use shipit::model::{Instance, Leftover};

use super::fleet::Fleet;
use super::sabotage::Sabotage;
use super::script::{By, Said, Script};
use super::state::{Retire, State};

const POLL: Duration = Duration::from_millis(200);

/// Streams that may not be cut are waited for, but not for ever.
const LONGEST: Duration = Duration::from_hours(24);

impl Script<'_> {
    /// nginx's move to other instances, without a wait for what is left on those of before.
    pub(super) async fn flip(&self, to: &[Instance]) -> Option<Said> {
        self.fleet.pause(50, 400).await;
        self.change(|state| {
            state.send_traffic(self.host, to);
            Ok(())
        })
    }

    /// Waits until nothing is left on instances that get no traffic.
    pub(super) async fn clear(&self, instances: &[Instance]) -> Option<Said> {
        if self.at(|state| state.sabotaged(Sabotage::ClearsNothing))? {
            return Some(Ok(()));
        }
        if !self.at(|state| state.gets_nothing(self.host, instances))? {
            return Some(Err("nginx sends traffic to them".to_owned()));
        }
        let places: Vec<usize> = self.at(|state| state.places(instances).collect())?;
        let drain = self.at(|state| state.setup.recipe.drain)?;
        if self.wait_until_free(&places, drain.timeout).await? {
            return Some(Ok(()));
        }
        if drain.leftover == Leftover::Abort {
            return Some(Err("connections are left".to_owned()));
        }
        self.change(|state| state.cut_off_unrouted(self.host, &places))?;
        Some(Ok(()))
    }

    /// Stops instances that get no traffic, or leaves that to a process of the host's own.
    pub(super) async fn stop(&self, instances: &[Instance], after: Duration) -> Option<Said> {
        if !self.at(|state| state.gets_nothing(self.host, instances))? {
            return Some(Err("nginx sends traffic to them".to_owned()));
        }
        let places: Vec<usize> = self.at(|state| state.places(instances).collect())?;
        let drain = self.at(|state| state.setup.recipe.drain)?;
        let is_free = !after.is_zero() || self.wait_until_free(&places, drain.timeout).await?;
        let is_late = !after.is_zero() || (!is_free && drain.leftover == Leftover::Abort);
        if !self.wait_for_its_turn().await? {
            return Some(Err("another script still runs on this host".to_owned()));
        }
        let said =
            if is_late { self.leave_to_later(instances, after) } else { self.stop_now(instances, is_free).await };
        self.at(|state| state.hosts[self.host].is_taken = false)?;
        said
    }

    fn leave_to_later(&self, instances: &[Instance], after: Duration) -> Option<Said> {
        let token = self.change(|state| {
            let token = state.number();
            state.hosts[self.host].retire = Some(Retire { token, instances: instances.to_vec() });
            token
        })?;
        let (fleet, host, boot, instances) = (self.fleet.clone(), self.host, self.boot, instances.to_vec());
        tokio::spawn(async move { retire(&fleet, host, boot, token, &instances, after).await });
        Some(Ok(()))
    }

    async fn stop_now(&self, instances: &[Instance], is_free: bool) -> Option<Said> {
        if !self.at(|state| state.gets_nothing(self.host, instances))? {
            return Some(Err("nginx sends traffic to them".to_owned()));
        }
        self.change(|state| {
            state.supersede(self.host, instances);
            if !is_free {
                let places: Vec<usize> = state.places(instances).collect();
                state.cut_off_unrouted(self.host, &places);
            }
        })?;
        for place in self.at(|state| state.places(instances))? {
            self.change(|state| state.stop(self.host, place, &self.who()))?;
            self.fleet.pause(20, 200).await;
        }
        Some(Ok(()))
    }

    /// Waits until instances that get nothing new have no requests in flight; whether that came to be in time.
    pub(super) async fn wait_until_free(&self, places: &[usize], limit: Duration) -> Option<bool> {
        let mut waited = Duration::ZERO;
        while self.at(|state| state.is_busy_unrouted(self.host, places))? {
            if waited >= limit {
                return Some(false);
            }
            waited += POLL;
            tokio::time::sleep(POLL).await;
        }
        Some(true)
    }
}

/// What goes on on the host when shipit is gone: keeps an old release warm, and stops it. It ends with the machine, and when
/// somebody needs the instances.
async fn retire(
    fleet: &Arc<Fleet>,
    host: usize,
    boot: u32,
    token: u64,
    instances: &[Instance],
    after: Duration,
) -> Option<()> {
    let script = Script { fleet, host, by: By::Itself, boot };
    let wanted = || script.at(|state| state.is_to_retire(host, token)).filter(|wanted| *wanted);
    tokio::time::sleep(after).await;
    wanted()?;
    let places: Vec<usize> = script.at(|state| state.places(instances).collect())?;
    let drain = script.at(|state| state.setup.recipe.drain)?;
    let is_cut = drain.leftover == Leftover::Cut;
    if !script.wait_until_free(&places, if is_cut { drain.timeout } else { LONGEST }).await? && !is_cut {
        return None;
    }
    wanted()?;
    if !script.wait_for_its_turn().await? {
        return None;
    }
    let goes_on = script.at(|state| state.is_to_retire(host, token) && state.gets_nothing(host, instances))?;
    if goes_on {
        script.at(|state| {
            state.hosts[host].retire = None;
            state.cut_off_unrouted(host, &places);
        })?;
        for place in places {
            script.at(|state| state.stop(host, place, "its host"))?;
            fleet.pause(20, 200).await;
        }
    }
    script.at(|state| state.hosts[host].is_taken = false)
}

impl State {
    /// The places of the instances that are live: the second set, if nginx sends traffic to those and no others.
    pub(super) fn live(&self, host: usize) -> Range<usize> {
        let routed = &self.hosts[host].routed;
        let (first, all) = (self.setup.recipe.app.instances.len(), routed.len());
        let is_second = routed[first..].iter().any(|routed| *routed) && !routed[..first].iter().any(|routed| *routed);
        if is_second { first..all } else { 0..first }
    }

    /// Has nginx send traffic to these instances alone. Returns what it did before.
    pub(super) fn send_traffic(&mut self, host: usize, to: &[Instance]) -> Vec<bool> {
        let mut routed = vec![false; self.hosts[host].routed.len()];
        self.places(to).for_each(|place| routed[place] = true);
        self.say("route", host, || format!("web{} routes to {to:?}", host + 1));
        std::mem::replace(&mut self.hosts[host].routed, routed)
    }

    /// Whether nginx sends these instances nothing.
    fn gets_nothing(&self, host: usize, instances: &[Instance]) -> bool {
        self.sabotaged(Sabotage::StopsBeforeFlip)
            || self.sabotaged(Sabotage::UndoStopsLive)
            || self.places(instances).all(|place| !self.hosts[host].routed[place])
    }

    /// Whether some of these instances that get nothing new have requests in flight.
    fn is_busy_unrouted(&self, host: usize, places: &[usize]) -> bool {
        let here = &self.hosts[host];
        let mut out = places.iter().filter(|place| !here.routed[**place]).map(|place| &here.apps[*place]);
        out.any(|app| app.is_healthy && app.busy_until > self.now)
    }

    pub(super) fn cut_off_unrouted(&mut self, host: usize, places: &[usize]) {
        let (now, here) = (self.now, &mut self.hosts[host]);
        for place in places.iter().filter(|place| !here.routed[**place]) {
            here.apps[*place].busy_until = now;
        }
    }

    /// Takes the reason away from a process that is to stop one of these later.
    pub(super) fn supersede(&mut self, host: usize, instances: &[Instance]) {
        let is_needed = |retire: &Retire| retire.instances.iter().any(|one| instances.contains(one));
        if self.hosts[host].retire.as_ref().is_some_and(is_needed) && !self.sabotaged(Sabotage::KeepsToken) {
            self.hosts[host].retire = None;
        }
    }

    /// Whether the process with this token still has a reason to go on.
    fn is_to_retire(&self, host: usize, token: u64) -> bool {
        self.hosts[host].retire.as_ref().is_some_and(|retire| retire.token == token)
    }
}
