//! What every plan must satisfy, whichever strategy made it. A strategy that breaks one of these rules has a bug, and the
//! place to find that out is before the first host is touched.

use std::collections::BTreeSet;

use super::{Action, Lane, Phase, Plan, Wave};

/// The rules that `plan` breaks, in words; empty for every plan that may be carried out.
#[must_use]
pub fn lint(plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    for wave in &plan.waves {
        wave_faults(plan, wave, &mut faults);
        for lane in &wave.lanes {
            let mut fault = |what: &str| faults.push(format!("{} on {}: {what}", wave.name, lane.host));
            lane_faults(wave, lane, &mut fault);
        }
    }
    faults
}

fn wave_faults(plan: &Plan, wave: &Wave, faults: &mut Vec<String>) {
    let mut fault = |what: String| faults.push(format!("{}: {what}", wave.name));
    let hosts: BTreeSet<_> = wave.lanes.iter().map(|lane| &lane.host).collect();
    if hosts.len() < wave.lanes.len() {
        fault("a host has two lanes, which would not know of each other".to_owned());
    }
    if wave.max_in_flight == 0 {
        fault("no lane may ever open".to_owned());
    }
    let takes_out = wave.lanes.iter().any(Lane::takes_host_out);
    match wave.min_serving {
        None if takes_out => fault("hosts are taken out, and no floor is kept".to_owned()),
        Some(floor) if floor > plan.fleet.len() => fault(format!("the floor of {floor} is above the fleet")),
        _ => {}
    }
}

fn lane_faults(wave: &Wave, lane: &Lane, fault: &mut impl FnMut(&str)) {
    if lane.steps.is_empty() {
        fault("there is nothing to do");
    }
    for step in &lane.steps {
        if matches!(&step.action, Action::Stop { .. }) && wave.phase != Phase::Finish {
            fault("an instance is stopped before all hosts serve the release");
        }
        if changes_traffic(&step.action) && step.undo.is_empty() {
            fault(&format!("nothing takes back {}", step.action));
        }
        if changes_traffic(&step.action) && wave.phase != Phase::Switch {
            fault(&format!("{} outside of the part in which hosts change over", step.action));
        }
    }
    let drain = position(lane, |action| *action == Action::Drain);
    let restart = position(lane, |action| matches!(action, Action::Activate { .. }));
    let health = position(lane, |action| matches!(action, Action::Health { .. }));
    let enable = position(lane, |action| matches!(action, Action::Enable { .. }));
    if drain.is_some() != enable.is_some() || drain > enable {
        fault("what is drained must be enabled after that");
    }
    if let (Some(drain), Some(restart)) = (drain, restart)
        && restart < drain
    {
        fault("the restart comes before the drain");
    }
    let flip = position(lane, |action| matches!(action, Action::Flip { .. }));
    let too_early = |traffic: Option<usize>| traffic.is_some() && traffic < health;
    if restart.is_some() && (health < restart || too_early(enable) || too_early(flip)) {
        fault("between the restart and the traffic nothing asks whether the app is healthy");
    }
}

/// Whether users would feel the action if it were left half done.
fn changes_traffic(action: &Action) -> bool {
    matches!(
        action,
        Action::Drain | Action::Enable { .. } | Action::Activate { .. } | Action::Route { .. } | Action::Flip { .. }
    )
}

fn position(lane: &Lane, is: impl Fn(&Action) -> bool) -> Option<usize> {
    lane.steps.iter().position(|step| is(&step.action))
}
