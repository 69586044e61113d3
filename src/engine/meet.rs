//! The point of a wave at which its lanes wait for each other: what follows is done on all hosts or on none.

use super::lane::{Cause, LaneState};
use super::scheduler::Stop;
use super::{Cancel, Failure, LaneRef, Scheduler};
use crate::plan::Action;

impl Scheduler {
    /// The lane at `at` comes to `step`, and does it unless others are to be waited for there.
    pub(super) fn go_on(&mut self, at: LaneRef, step: usize) {
        if self.lane(at).steps[step].action == Action::Meet {
            self.put(at, LaneState::Met(step));
            self.met.push_back(at);
        } else {
            self.perform(at, step);
        }
    }

    /// Whether the lane has a point at which it waits for others, and the wave has not come to that.
    pub(super) fn has_yet_to_meet(&self, at: LaneRef) -> bool {
        !self.all_met && self.lane(at).steps.iter().any(|step| step.action == Action::Meet)
    }

    /// Lets lanes that wait for the others go on when all have come, as many at once as the wave allows; or sends them
    /// back if that is not to be. A lane that failed within the budget is not waited for, and who asks for an end in order
    /// when the first have gone on gets it when all have.
    pub(super) fn meet(&mut self, wave: usize) {
        if self.met.is_empty() {
            return;
        }
        let goes_on = self.stop.is_none() || (self.all_met && self.stop == Some(Stop::Cancelled(Cancel::Finish)));
        let nobody_is_missing = self.open_lanes(wave) == 0 && self.next_to_open(wave).is_none();
        self.all_met = self.all_met || (goes_on && nobody_is_missing);
        while (self.all_met || !goes_on) && self.open_lanes(wave) < self.plan.waves[wave].max_in_flight {
            let Some(at) = self.met.pop_front() else { return };
            let LaneState::Met(step) = *self.state(at) else { continue };
            if goes_on {
                self.go_on(at, step + 1);
            } else {
                let why = || Cause::Own(Failure::new("the hosts did not meet"));
                self.undo(at, step, self.turns_back(at).unwrap_or_else(why));
            }
        }
    }
}
