//! The serving floor: may one more host be taken out?

use std::collections::BTreeSet;

use super::lane::LaneState;
use crate::model::{HostName, View};
use crate::plan::{Lane, Plan, Wave};

/// The room above the floor of a wave, by a view taken after its last lane opened.
///
/// The hosts of open lanes count as out, and so does the next one if its lane takes it out. A host that does not serve
/// takes nothing away, so it may always go: it is likely the one that needs the deploy.
pub(super) struct Room<'a> {
    wave: &'a Wave,
    view: &'a View,
    /// The hosts of the fleet that serve, without those of open lanes.
    left: BTreeSet<&'a HostName>,
}

impl<'a> Room<'a> {
    /// The room that `view` shows; `states` are those of the wave's lanes.
    pub(super) fn of(plan: &'a Plan, states: &[LaneState], wave: usize, view: &'a View) -> Self {
        let wave = &plan.waves[wave];
        let mut room = Self { wave, view, left: BTreeSet::new() };
        // Without a floor there is room for all.
        if wave.min_serving.is_some_and(|floor| floor > 0) {
            room.left = plan.fleet.iter().filter(|host| view.serving.contains(*host)).collect();
            let open = states.iter().zip(&wave.lanes).filter(|(state, _)| state.is_open());
            open.for_each(|(_, lane)| room.leave(lane));
        }
        room
    }

    /// Whether the lane may open.
    pub(super) fn is_for(&self, lane: usize) -> bool {
        let lane = &self.wave.lanes[lane];
        let floor = self.wave.min_serving.unwrap_or_default();
        let leaves = lane.takes_host_out() && self.left.contains(&lane.host);
        floor == 0 || !self.view.serving.contains(&lane.host) || self.left.len() - usize::from(leaves) >= floor
    }

    /// The lane opens.
    pub(super) fn take(&mut self, lane: usize) {
        self.leave(&self.wave.lanes[lane]);
    }

    fn leave(&mut self, lane: &Lane) {
        if lane.takes_host_out() {
            self.left.remove(&lane.host);
        }
    }
}
