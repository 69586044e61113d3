//! Rolling: hosts in turn, each out of the balancers while it restarts.

use super::{Limits, PlanError, PlanInput, Strategy, steps};
use crate::model::Host;
use crate::plan::{Gate, Lane, OnFailure, Phase, Step, Wave};

/// The strategy of 2012: drain → restart → health → warm → enable → watch, `max-in-flight` hosts at a time.
pub(super) struct Rolling;

impl Strategy for Rolling {
    fn waves(&self, input: &PlanInput<'_>, limits: &Limits, hosts: &[&Host]) -> Result<Vec<Wave>, PlanError> {
        let serving = input.observed.view(input.inventory, input.recipe).serving;
        let (up, down): (Vec<&Host>, Vec<&Host>) = hosts.iter().partition(|host| serving.contains(&host.name));
        check_floor(limits, &up, serving.len())?;
        let (canaries, rest) = up.split_at(input.options.canary.min(up.len()));
        let bake = if input.options.bake.is_zero() { Gate::Open } else { Gate::Bake(input.options.bake) };
        let groups = [
            // Nobody misses a host that does not serve, so these need not wait for each other: a whole fleet on its first
            // deploy, or the one host that the deploy is to mend.
            ("bring up", Gate::Open, &*down, down.len()),
            ("canary", bake, canaries, limits.max_in_flight),
            ("rolling", Gate::Open, rest, limits.max_in_flight),
        ];
        let wave = |(name, gate, hosts, max_in_flight): (&str, Gate, &[&Host], usize)| Wave {
            name: name.to_owned(),
            phase: Phase::Switch,
            max_in_flight,
            min_serving: Some(limits.min_serving),
            gate,
            on_failure: OnFailure::Keep,
            lanes: hosts.iter().map(|host| lane(input, host)).collect(),
        };
        Ok(groups.into_iter().filter(|(_, _, hosts, _)| !hosts.is_empty()).map(wave).collect())
    }
}

fn lane(input: &PlanInput<'_>, host: &Host) -> Lane {
    let instances = &input.recipe.app.instances;
    let balanced = input.inventory.balancers_of(host).next().is_some();
    let in_balancers = |step: Step| balanced.then_some(step);
    let steps = [
        in_balancers(steps::drain(input, host)),
        Some(steps::activate(input, host, instances)),
        Some(steps::health(input, &input.release.id, instances)),
        steps::warm(input, instances),
        in_balancers(steps::enable()),
        in_balancers(steps::watch(input)),
    ];
    Lane { host: host.name.clone(), steps: steps.into_iter().flatten().collect() }
}

/// Refuses a deploy that could never take its first host out. Hosts that do not serve yet will by then.
fn check_floor(limits: &Limits, up: &[&Host], serving: usize) -> Result<(), PlanError> {
    if !up.is_empty() && serving <= limits.min_serving {
        return Err(PlanError::Floor { serving, fleet: limits.fleet, floor: limits.min_serving });
    }
    Ok(())
}
