//! The way back of hosts that have not failed themselves: waves that end on one release, or a gate that did not open.

use std::time::Duration;

use super::lane::{Cause, LaneState};
use super::scheduler::{Stop, Wait};
use super::{Cancel, Failure, LaneEnd, LaneRef, Scheduler, floor::Room};
use crate::model::View;
use crate::plan::OnFailure;

impl Scheduler {
    /// Why an open lane is undone although nothing is wrong with it.
    pub(super) fn turns_back(&self, at: LaneRef) -> Option<Cause> {
        let cancelled = || Some(Cause::Own(Failure::new("cancelled")));
        match self.stop {
            Some(Stop::Cancelled(Cancel::Unwind)) => cancelled(),
            Some(Stop::Cancelled(Cancel::Finish)) if self.has_yet_to_meet(at) => cancelled(),
            Some(Stop::Failed) if self.goes_back(at.wave) => Some(Cause::Others),
            _ => None,
        }
    }

    /// Whether the hosts of `wave` go back if others fail.
    pub(super) fn goes_back(&self, wave: usize) -> bool {
        self.plan.waves[wave].on_failure == OnFailure::TakeBack
    }

    /// Has the lanes of `wave` that are done undone, because of `cause`; and with them those of the waves before that go back
    /// together, such as the canaries of a hot-swap. All of them end on one release.
    pub(super) fn send_back(&mut self, wave: usize, cause: &Cause) {
        let before = (0..wave).filter(|before| self.goes_back(*before)).flat_map(|before| self.lanes_of(before));
        let own = self.lanes_of(wave).map(|at| (at, cause.clone()));
        // Of an earlier wave it was nobody's own fault, unless somebody wants all of it back.
        let cause_before = if self.cancelled() { cause.clone() } else { Cause::Others };
        let all = own.chain(before.map(|at| (at, cause_before.clone())));
        let done = all.filter(|(at, _)| matches!(self.state(*at), LaneState::Closed(LaneEnd::Done)));
        let done: Vec<_> = done.filter(|(at, _)| !self.take_back.iter().any(|(other, _)| other == at)).collect();
        self.take_back.extend(done);
    }

    /// The same because others failed, if the hosts of `wave` go back at all then.
    pub(super) fn send_back_with_others(&mut self, wave: usize) {
        if self.goes_back(wave) {
            self.send_back(wave, &Cause::Others);
        }
    }

    /// Undoes what is to be taken back: hosts that go out of service for it one at a time, each after a look at the floor;
    /// others as many at once as their wave allows.
    pub(super) fn go_back(&mut self) {
        while let Some((at, _)) = self.take_back.front() {
            if self.lane(*at).takes_host_out() {
                if self.open_in_all() == 0 && self.wait == Wait::Nothing {
                    self.look(Duration::ZERO);
                }
                return;
            }
            if self.open_in_all() >= self.wave(*at).max_in_flight {
                return;
            }
            self.go_back_next();
        }
    }

    fn go_back_next(&mut self) {
        if let Some((at, cause)) = self.take_back.pop_front() {
            self.count_failure(at);
            self.undo(at, self.lane(at).steps.len() - 1, cause);
        }
    }

    /// Lets the next host go back if the floor allows it. One that may not go in a minute keeps the release, and serves.
    /// The look may also have been one for opening lanes, when nothing had failed yet.
    pub(super) fn looked_for_going_back(&mut self, at: LaneRef, view: &Result<View, String>) {
        if !self.lane(at).takes_host_out() || self.open_in_all() > 0 {
            return;
        }
        let wave = at.wave;
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
