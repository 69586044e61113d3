//! Hot-swap: every host at once, each toggling its instances behind its local nginx, one after the other.

use super::{Limits, PlanError, PlanInput, Strategy, rolling, steps};
use crate::model::{Host, Instance, Rounding};
use crate::plan::{Gate, Lane, OnFailure, Phase, Wave};

/// The strategy of 2013. No host leaves the balancers and none is ever without an instance that serves, so one host's time is
/// the fleet's time, and a single host will do. If one fails, all go back: users must not meet both releases for long.
pub(super) struct Hotswap;

impl Strategy for Hotswap {
    fn waves(&self, input: &PlanInput<'_>, limits: &Limits, hosts: &[&Host]) -> Result<Vec<Wave>, PlanError> {
        check(input)?;
        let Fleet { up, ailing, down, at_once } = Fleet::of(input, limits, hosts)?;
        let (canaries, rest) = up.split_at(input.options.canary.min(up.len()));
        let bake = if input.options.bake.is_zero() { Gate::Open } else { Gate::Bake(input.options.bake) };
        let swap = |name: &str, gate, hosts: &[&Host], serve| Wave {
            name: name.to_owned(),
            phase: Phase::Switch,
            max_in_flight: at_once,
            min_serving: Some(limits.min_serving),
            gate,
            on_failure: OnFailure::TakeBack,
            lanes: hosts.iter().map(|host| lane(input, host, serve)).collect(),
        };
        let waves = [
            rolling::bring_up(input, limits, &down),
            swap("mend", Gate::Open, &ailing, false),
            swap("canary", bake, canaries, true),
            swap("hotswap", Gate::Open, rest, true),
        ];
        Ok(waves.into_iter().filter(|wave| !wave.lanes.is_empty()).collect())
    }
}

/// The hosts of a strategy that takes none out of service.
pub(super) struct Fleet<'a> {
    /// Those that serve. Canaries are chosen among them: nobody could tell of others how well they do.
    pub up: Vec<&'a Host>,
    /// Those that do not, although somebody may miss them: some of their instances are healthy. They change over as the others
    /// do, and before them, since enough may serve only when they do.
    pub ailing: Vec<&'a Host>,
    /// Those that nobody would miss, to be brought up before all others.
    pub down: Vec<&'a Host>,
    /// Most lanes that may be open at once.
    pub at_once: usize,
}

impl<'a> Fleet<'a> {
    /// Tells `hosts` apart, if enough of the fleet serve when those do that come before.
    pub fn of(input: &PlanInput<'_>, limits: &Limits, hosts: &[&'a Host]) -> Result<Self, PlanError> {
        let serving = input.observed.view(input.inventory, input.recipe).serving;
        let (up, out): (Vec<&Host>, Vec<&Host>) = hosts.iter().partition(|host| serving.contains(&host.name));
        if !up.is_empty() && serving.len() + out.len() < limits.min_serving {
            return Err(PlanError::Floor { serving: serving.len(), fleet: limits.fleet, floor: limits.min_serving });
        }
        // Where one instance is healthy there may be somebody whom it answers, whatever the others do.
        let works = |host: &&Host| input.facts(&host.name).instances.iter().any(|one| one.healthy);
        let (ailing, down): (Vec<&Host>, Vec<&Host>) = out.into_iter().partition(works);
        let most = up.len().max(ailing.len());
        let at_once = input.options.max_in_flight.map_or(most, |most| most.of(limits.fleet, Rounding::Down));
        Ok(Self { up, ailing, down, at_once: at_once.max(1) })
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
