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
        let serving = input.observed.view(input.inventory, input.recipe).serving;
        let (up, down): (Vec<&Host>, Vec<&Host>) = hosts.iter().partition(|host| serving.contains(&host.name));
        if !up.is_empty() && serving.len() < limits.min_serving {
            return Err(PlanError::Floor { serving: serving.len(), fleet: limits.fleet, floor: limits.min_serving });
        }
        let at_once = input.options.max_in_flight.map_or(up.len(), |most| most.of(limits.fleet, Rounding::Down).max(1));
        let (canaries, rest) = up.split_at(input.options.canary.min(up.len()));
        let bake = if input.options.bake.is_zero() { Gate::Open } else { Gate::Bake(input.options.bake) };
        let swap = |name: &str, gate, hosts: &[&Host]| Wave {
            name: name.to_owned(),
            phase: Phase::Switch,
            max_in_flight: at_once.max(1),
            min_serving: Some(limits.min_serving),
            gate,
            on_failure: OnFailure::TakeBack,
            lanes: hosts.iter().map(|host| lane(input, host)).collect(),
        };
        let waves = [
            rolling::bring_up(input, limits, &down),
            swap("canary", bake, canaries),
            swap("hotswap", Gate::Open, rest),
        ];
        Ok(waves.into_iter().filter(|wave| !wave.lanes.is_empty()).collect())
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
fn lane(input: &PlanInput<'_>, host: &Host) -> Lane {
    let all = &input.recipe.app.instances;
    let without =
        |instance: Instance| all.iter().copied().filter(|other| *other != instance).collect::<Vec<Instance>>();
    let mut routed = all.clone();
    let mut lane = Vec::new();
    for instance in all {
        let to = without(*instance);
        lane.push(steps::route(input, &to, &routed));
        lane.extend(steps::renew(input, host, &[*instance]));
        routed = to;
    }
    lane.push(steps::route(input, all, &routed));
    if input.inventory.balancers_of(host).next().is_some() {
        lane.push(steps::watch(input));
    }
    Lane { host: host.name.clone(), steps: lane }
}
