//! Rolling: hosts in turn, each out of the balancers while it restarts.

use super::{Limits, PlanError, PlanInput, Strategy, steps};
use crate::model::Host;
use crate::plan::{Gate, Lane, Phase, Step, Wave};

/// The strategy of 2012: drain → restart → health → warm → enable → watch, `max-in-flight` hosts at a time.
pub(super) struct Rolling;

impl Strategy for Rolling {
    fn waves(&self, input: &PlanInput<'_>, limits: &Limits, hosts: &[&Host]) -> Result<Vec<Wave>, PlanError> {
        check_floor(input, limits, hosts)?;
        let (canaries, rest) = hosts.split_at(input.options.canary.min(hosts.len()));
        let gate = if input.options.bake.is_zero() { Gate::Open } else { Gate::Bake(input.options.bake) };
        let groups = [("canary", gate, canaries), ("rolling", Gate::Open, rest)];
        let wave = |(name, gate, hosts): (&str, Gate, &[&Host])| Wave {
            name: name.to_owned(),
            phase: Phase::Switch,
            max_in_flight: limits.max_in_flight,
            min_serving: Some(limits.min_serving),
            gate,
            lanes: hosts.iter().map(|host| lane(input, host)).collect(),
        };
        Ok(groups.into_iter().filter(|(_, _, hosts)| !hosts.is_empty()).map(wave).collect())
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

/// Refuses a deploy that could never take its first host out.
fn check_floor(input: &PlanInput<'_>, limits: &Limits, hosts: &[&Host]) -> Result<(), PlanError> {
    let serving = input.observed.view(input.inventory, input.recipe).serving;
    let takes_one_out = hosts.iter().any(|host| serving.contains(&host.name));
    if takes_one_out && serving.len() <= limits.min_serving {
        return Err(PlanError::Floor { serving: serving.len(), fleet: limits.fleet, floor: limits.min_serving });
    }
    Ok(())
}
