//! The serving floor: may one more host be taken out?

use std::collections::BTreeSet;

use super::LaneRef;
use super::lane::LaneState;
use crate::model::{HostName, View};
use crate::plan::Plan;

/// Whether the lane at `at` may open, by a `view` taken after the last lane opened; `states` are those of its wave.
///
/// The hosts of open lanes count as out, and so does this one if its lane takes it out. A host that does not serve takes
/// nothing away, so it may always go: it is likely the one that needs the deploy.
pub(super) fn allows(plan: &Plan, states: &[LaneState], at: LaneRef, view: &View) -> bool {
    let wave = &plan.waves[at.wave];
    let Some(floor) = wave.min_serving else { return true };
    let lane = &wave.lanes[at.lane];
    if !view.serving.contains(&lane.host) {
        return true;
    }
    let mut out: BTreeSet<&HostName> = states
        .iter()
        .zip(&wave.lanes)
        .filter(|(state, lane)| state.is_open() && lane.takes_host_out())
        .map(|(_, lane)| &lane.host)
        .collect();
    if lane.takes_host_out() {
        out.insert(&lane.host);
    }
    plan.fleet.iter().filter(|host| view.serving.contains(*host) && !out.contains(host)).count() >= floor
}
