//! Preboot: every host boots the release in its idle instances, beside the old one; when all are healthy, all flip.

use super::{Limits, PlanError, PlanInput, Strategy, hotswap, rolling, steps};
use crate::model::Host;
use crate::plan::{Gate, Lane, OnFailure, Phase, Wave};

/// Heroku's preboot. Nothing that serves is touched before the release is healthy on every host, so the fleet takes one boot's time,
/// a release that does not boot costs nobody anything, and the way back is one move of each nginx.
pub(super) struct Preboot;

impl Strategy for Preboot {
    fn waves(&self, input: &PlanInput<'_>, limits: &Limits, hosts: &[&Host]) -> Result<Vec<Wave>, PlanError> {
        check(input)?;
        let fleet = hotswap::Fleet::of(input, limits, hosts)?;
        let (canaries, rest) = fleet.up.split_at(input.options.canary.min(fleet.up.len()));
        let bake = if input.options.bake.is_zero() { Gate::Open } else { Gate::Bake(input.options.bake) };
        let wave = |name: &str, gate, hosts: &[&Host], serve| {
            let boots = hosts.iter().any(|host| !is_warm(input, host));
            Wave {
                name: name.to_owned(),
                phase: Phase::Switch,
                max_in_flight: fleet.at_once,
                min_serving: Some(limits.min_serving),
                gate,
                on_failure: OnFailure::TakeBack,
                lanes: hosts.iter().map(|host| lane(input, host, boots && hosts.len() > 1, serve)).collect(),
            }
        };
        let name = if rest.iter().all(|host| is_warm(input, host)) { "flip" } else { "preboot" };
        let waves = [
            rolling::bring_up(input, limits, &fleet.down),
            wave("mend", Gate::Open, &fleet.ailing, false),
            wave("canary", bake, canaries, true),
            wave(name, Gate::Open, rest, true),
        ];
        Ok(waves.into_iter().filter(|wave| !wave.lanes.is_empty()).collect())
    }
}

/// Refuses recipes that have no instances to boot a release in.
fn check(input: &PlanInput<'_>) -> Result<(), PlanError> {
    if input.recipe.preboot.is_some() {
        return Ok(());
    }
    let what = "the recipe has no `[preboot]`, which names a second set of instances to boot a release in";
    Err(PlanError::Recipe { strategy: input.options.strategy, what: what.to_owned() })
}

/// Whether the release is warm on `host`: it went out of service by a flip and was not stopped yet.
fn is_warm(input: &PlanInput<'_>, host: &Host) -> bool {
    let idle = &input.facts(&host.name).idle;
    !idle.is_empty() && idle.iter().all(|one| one.healthy && one.running.as_ref() == Some(&input.release.id))
}

/// The idle instances on the release, healthy and warm; then, `together` with the other hosts, all traffic in one move.
///
/// What is warm already is asked all the same, so that a flip never leads to an instance that has gone meanwhile.
fn lane(input: &PlanInput<'_>, host: &Host, together: bool, serves: bool) -> Lane {
    let facts = input.facts(&host.name);
    let (live, idle) = (input.recipe.live(facts), input.recipe.idle(facts));
    let before = if facts.routed.is_empty() { live } else { &facts.routed };
    let boots = !is_warm(input, host);
    let mut lane = Vec::new();
    if boots && facts.idle.iter().any(|one| one.healthy || one.running.is_some()) {
        lane.push(steps::clear(input, idle));
    }
    lane.extend([steps::boot(input, host, idle), steps::health(input, &input.release.id, idle)]);
    if boots {
        lane.extend(steps::warm(input, idle));
    }
    if together {
        lane.push(steps::meet());
    }
    lane.push(steps::flip(input, idle, before));
    // A host that the balancers keep out is let in once they have checked it: it can't be watched before.
    if serves && input.inventory.balancers_of(host).next().is_some() {
        lane.push(steps::watch(input));
    }
    Lane { host: host.name.clone(), steps: lane }
}
