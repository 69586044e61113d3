//! The way back of hosts that have not failed themselves: a wave that ends on one release, or a gate that did not open.

use std::time::Duration;

use super::lane::LaneState;
use super::scheduler::{Stop, Wait};
use super::{Cancel, Failure, LaneEnd, LaneRef, Scheduler, floor::Room};
use crate::model::View;
use crate::plan::OnFailure;

/// Why a host goes back that has not failed.
pub(super) const WITH_OTHERS: &str = "it goes back with the others";

impl Scheduler {
    /// Why an open lane is undone although nothing is wrong with it.
    pub(super) fn turns_back(&self, at: LaneRef) -> Option<&'static str> {
        match self.stop {
            Some(Stop::Cancelled(Cancel::Unwind)) => Some("cancelled"),
            Some(Stop::Cancelled(Cancel::Finish)) if self.has_yet_to_meet(at) => Some("cancelled"),
            Some(Stop::Failed) if self.wave(at).on_failure == OnFailure::TakeBack => Some(WITH_OTHERS),
            _ => None,
        }
    }

    /// Has the lanes of `wave` that are done undone, because of `failure` elsewhere.
    pub(super) fn send_back(&mut self, wave: usize, failure: &Failure) {
        let done = self.lanes_of(wave).filter(|at| matches!(self.state(*at), LaneState::Closed(LaneEnd::Done)));
        let done: Vec<_> = done.map(|at| (at, failure.clone())).collect();
        self.take_back.extend(done);
    }

    /// Undoes what is to be taken back: hosts that go out of service for it one at a time, each after a look at the floor;
    /// others as many at once as the wave allows.
    pub(super) fn go_back(&mut self, wave: usize) {
        while let Some((at, _)) = self.take_back.front() {
            if self.lane(*at).takes_host_out() {
                if self.open_lanes(wave) == 0 && self.wait == Wait::Nothing {
                    self.look(Duration::ZERO);
                }
                return;
            }
            if self.open_lanes(wave) >= self.plan.waves[wave].max_in_flight {
                return;
            }
            self.go_back_next();
        }
    }

    fn go_back_next(&mut self) {
        if let Some((at, failure)) = self.take_back.pop_front() {
            self.count_failure(at);
            self.undo(at, self.lane(at).steps.len() - 1, failure);
        }
    }

    /// Lets the next host go back if the floor allows it. One that may not go in a minute keeps the release, and serves.
    pub(super) fn looked_for_going_back(&mut self, wave: usize, at: LaneRef, view: &Result<View, String>) {
        let allowed =
            view.as_ref().is_ok_and(|view| Room::of(&self.plan, &self.lanes[wave], wave, view).is_for(at.lane));
        if allowed {
            self.fruitless_looks = 0;
            self.go_back_next();
        } else {
            self.hold(wave, view);
        }
    }
}
