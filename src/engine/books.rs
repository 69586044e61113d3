//! The scheduler's books: which lanes there are, where each stands, and how many are open.

use super::lane::LaneState;
use super::scheduler::Wait;
use super::{LaneRef, Scheduler};
use crate::plan::{Lane, Wave};

impl Scheduler {
    pub(super) fn lanes_of(&self, wave: usize) -> impl Iterator<Item = LaneRef> + use<> {
        (0..self.lanes[wave].len()).map(move |lane| LaneRef { wave, lane })
    }

    pub(super) fn open_lanes(&self, wave: usize) -> usize {
        self.open[wave]
    }

    /// The open lanes of all waves: of those before the open one only what is taken back.
    pub(super) fn open_in_all(&self) -> usize {
        self.open.iter().sum()
    }

    pub(super) fn wave(&self, at: LaneRef) -> &Wave {
        &self.plan.waves[at.wave]
    }

    pub(super) fn lane(&self, at: LaneRef) -> &Lane {
        &self.wave(at).lanes[at.lane]
    }

    pub(super) fn state(&self, at: LaneRef) -> &LaneState {
        &self.lanes[at.wave][at.lane]
    }

    pub(super) fn put(&mut self, at: LaneRef, state: LaneState) {
        let (is_open, lane) = (state.is_open(), &mut self.lanes[at.wave][at.lane]);
        match (lane.is_open(), is_open) {
            (false, true) => self.open[at.wave] += 1,
            (true, false) => {
                self.open[at.wave] -= 1;
                // Closed or waiting for the others: there may be room for the next one.
                if self.wait == Wait::Lane {
                    self.wait = Wait::Nothing;
                }
            }
            _ => {}
        }
        *lane = state;
    }
}
