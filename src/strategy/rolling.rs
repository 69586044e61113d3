//! Rolling: hosts in turn, each out of the balancers while it restarts.

use super::{Limits, PlanError, PlanInput, Strategy, steps};
use crate::model::Host;
use crate::plan::{Gate, Lane, OnFailure, Phase, Wave};

/// The strategy of 2012: drain → restart → health → warm → enable → watch, `max-in-flight` hosts at a time.
pub(super) struct Rolling;

impl Strategy for Rolling {
    fn waves(&self, input: &PlanInput<'_>, limits: &Limits, hosts: &[&Host]) -> Result<Vec<Wave>, PlanError> {
        let serving = input.observed.view(input.inventory, input.recipe).serving;
        let (up, down): (Vec<&Host>, Vec<&Host>) = hosts.iter().partition(|host| serving.contains(&host.name));
        check_floor(limits, &up, serving.len(), down.len())?;
        let (canaries, rest) = up.split_at(input.options.canary.min(up.len()));
        let bake = if input.options.bake.is_zero() { Gate::Open } else { Gate::Bake(input.options.bake) };
        let wave = |name: &str, gate, hosts: &[&Host]| Wave {
            name: name.to_owned(),
            phase: Phase::Switch,
            max_in_flight: limits.max_in_flight,
            min_serving: Some(limits.min_serving),
            gate,
            on_failure: OnFailure::Keep,
            lanes: hosts.iter().map(|host| lane(input, host, true)).collect(),
        };
        let waves = [bring_up(input, limits, &down), wave("canary", bake, canaries), wave("rolling", Gate::Open, rest)];
        Ok(waves.into_iter().filter(|wave| !wave.lanes.is_empty()).collect())
    }
}

/// The hosts that do not serve, before all others and all at once. Nobody misses them, so they need not wait for each other:
/// a whole fleet on its first deploy, or the one host that the deploy is to mend.
pub(super) fn bring_up(input: &PlanInput<'_>, limits: &Limits, down: &[&Host]) -> Wave {
    Wave {
        name: "bring up".to_owned(),
        phase: Phase::Switch,
        max_in_flight: down.len().max(1),
        min_serving: Some(limits.min_serving),
        gate: Gate::Open,
        on_failure: OnFailure::Keep,
        lanes: down.iter().map(|host| lane(input, host, false)).collect(),
    }
}

/// The lane of a host that is out of service meanwhile, so that all its instances may restart at once.
fn lane(input: &PlanInput<'_>, host: &Host, served: bool) -> Lane {
    let balanced = input.inventory.balancers_of(host).next().is_some();
    let mut lane = Vec::new();
    if balanced {
        lane.push(steps::drain(input, served));
    }
    let facts = input.facts(&host.name);
    let all = input.recipe.live(facts);
    lane.extend(steps::renew(input, host, all));
    if facts.is_misrouted() {
        // What a hot-swap that was cut off left. Now nobody misses the host, and all its instances are healthy.
        lane.push(steps::route(input, all, &facts.routed));
    }
    if balanced {
        lane.extend([steps::enable(), steps::watch(input)]);
    }
    Lane { host: host.name.clone(), steps: lane }
}

/// Refuses a deploy that could never take its first host out. Hosts that are brought up before that will serve by then: where
/// they are why too few serve, the deploy is what mends them.
fn check_floor(limits: &Limits, up: &[&Host], serving: usize, coming: usize) -> Result<(), PlanError> {
    if !up.is_empty() && serving + coming <= limits.min_serving {
        return Err(PlanError::Floor { serving, fleet: limits.fleet, floor: limits.min_serving });
    }
    Ok(())
}
