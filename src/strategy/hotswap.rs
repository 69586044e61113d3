//! Hot-swap: every host at once, each toggling its instances behind its local nginx, one after the other.

use std::collections::BTreeSet;

use super::{Limits, PlanError, PlanInput, Strategy, rolling, steps};
use crate::model::{Host, HostName, Instance, Rounding};
use crate::plan::{Gate, Lane, OnFailure, Phase, Wave};

/// The strategy of 2013. No host leaves the balancers and none is ever without an instance that serves, so one host's time is
/// the fleet's time, and a single host will do. If one fails, all go back: users must not meet both releases for long.
pub(super) struct Hotswap;

impl Strategy for Hotswap {
    fn waves(&self, input: &PlanInput<'_>, limits: &Limits, hosts: &[&Host]) -> Result<Vec<Wave>, PlanError> {
        check(input)?;
        let Halves { up, down, at_once, serving } = Halves::of(input, limits, hosts)?;
        let serves = |host: &Host| serving.contains(&host.name);
        let (canaries, rest) = up.split_at(input.options.canary.min(up.len()));
        let bake = if input.options.bake.is_zero() { Gate::Open } else { Gate::Bake(input.options.bake) };
        let swap = |name: &str, gate, hosts: &[&Host]| Wave {
            name: name.to_owned(),
            phase: Phase::Switch,
            max_in_flight: at_once,
            min_serving: Some(limits.min_serving),
            gate,
            on_failure: OnFailure::TakeBack,
            lanes: hosts.iter().map(|host| lane(input, host, serves(host))).collect(),
        };
        let waves = [
            rolling::bring_up(input, limits, &down),
            swap("canary", bake, canaries),
            swap("hotswap", Gate::Open, rest),
        ];
        Ok(waves.into_iter().filter(|wave| !wave.lanes.is_empty()).collect())
    }
}

/// The hosts of a strategy that takes none out of service.
pub(super) struct Halves<'a> {
    /// Those that somebody would miss.
    pub up: Vec<&'a Host>,
    /// Those that nobody would, to be brought up before all others.
    pub down: Vec<&'a Host>,
    /// Most lanes that may be open at once.
    pub at_once: usize,
    /// Those that get traffic.
    pub serving: BTreeSet<HostName>,
}

impl<'a> Halves<'a> {
    /// Tells `hosts` apart, if enough of the fleet serve.
    pub fn of(input: &PlanInput<'_>, limits: &Limits, hosts: &[&'a Host]) -> Result<Self, PlanError> {
        let serving = input.observed.view(input.inventory, input.recipe).serving;
        let serves = |host: &&Host| serving.contains(&host.name);
        // Where one instance is healthy there may be somebody whom it answers, whatever the others do.
        let works = |host: &&Host| serves(host) || input.facts(&host.name).instances.iter().any(|one| one.healthy);
        let (up, down): (Vec<&Host>, Vec<&Host>) = hosts.iter().copied().partition(works);
        if up.iter().any(serves) && serving.len() + down.len() < limits.min_serving {
            return Err(PlanError::Floor { serving: serving.len(), fleet: limits.fleet, floor: limits.min_serving });
        }
        let at_once = input.options.max_in_flight.map_or(up.len(), |most| most.of(limits.fleet, Rounding::Down));
        Ok(Self { up, down, at_once: at_once.max(1), serving })
    }
}

/// Refuses recipes that leave nobody to serve while an instance restarts.
fn check(input: &PlanInput<'_>) -> Result<(), PlanError> {
    let lacks = |what: &str| Err(PlanError::Recipe { strategy: input.options.strategy, what: what.to_owned() });
    if input.recipe.hotswap.is_none() {
        return lacks("the recipe has no `[hotswap]`, which says how the local nginx is told where to send traffic");
    }
    if input.recipe.app.instances.len() < 2 {
        return lacks("the recipe has one instance a host, and nobody would serve while it restarts");
    }
    Ok(())
}

/// For each instance: out of the local nginx, restarted, healthy, warm, and in again. The move that lets one in is the one that
/// takes the next out, so there is one reload for each instance and a last one; all but one instance serve all the time.
///
/// An instance that is not healthy, as a deploy that was cut off may leave one, gets no traffic before it is, so those come
/// first and together; then those that only nginx leaves out. Were it otherwise, the first step would take the one out that serves.
fn lane(input: &PlanInput<'_>, host: &Host, serves: bool) -> Lane {
    let facts = input.facts(&host.name);
    let all = input.recipe.live(facts);
    let sick = |instance: &Instance| facts.instances.iter().any(|one| one.instance == *instance && !one.healthy);
    let unrouted: Vec<Instance> = facts.unrouted().collect();
    let (mut down, mut well): (Vec<Instance>, Vec<Instance>) = all.iter().copied().partition(sick);
    if well.is_empty() {
        // The balancers say that it serves, and they decide who gets traffic.
        std::mem::swap(&mut down, &mut well);
    }
    let (out, fit): (Vec<Instance>, Vec<Instance>) = well.into_iter().partition(|one| unrouted.contains(one));
    let one_by_one = out.into_iter().chain(fit).map(|one| vec![one]);
    let turns = [down].into_iter().chain(one_by_one).filter(|turn| !turn.is_empty());

    let mut routed: Vec<Instance> = all.iter().copied().filter(|one| !unrouted.contains(one)).collect();
    let mut lane = Vec::new();
    for turn in turns {
        let to: Vec<Instance> = all.iter().copied().filter(|one| !turn.contains(one)).collect();
        lane.push(steps::route(input, &to, &routed));
        lane.extend(steps::renew(input, host, &turn));
        routed = to;
    }
    lane.push(steps::route(input, all, &routed));
    // A host that the balancers keep out is let in once they have checked it: it can't be watched before.
    if serves && input.inventory.balancers_of(host).next().is_some() {
        lane.push(steps::watch(input));
    }
    Lane { host: host.name.clone(), steps: lane }
}
