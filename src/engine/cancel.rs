//! An end that somebody wants: what still goes on, and what does not begin any more.

use super::lane::{Cause, LaneState};
use super::scheduler::{Scheduler, Stop};
use super::{Cancel, Command, Failure, LaneEnd};
use crate::plan::Phase;

impl Scheduler {
    pub(super) fn cancel_asked(&mut self, how: Cancel) {
        if self.stop == Some(Stop::Failed) {
            return;
        }
        self.stop = Some(Stop::Cancelled(how));
        let Some(wave) = self.wave else { return };
        let phase = self.plan.waves[wave].phase;
        if how == Cancel::Unwind && self.goes_back(wave) {
            self.send_back(wave, &Cause::Own(Failure::new("cancelled")));
        }
        for at in self.lanes_of(wave) {
            let running = matches!(self.state(at), LaneState::Running(_));
            // Before traffic is touched there is nothing worth finishing.
            if running && (how == Cancel::Unwind || phase == Phase::Prepare) {
                self.commands.push(Command::Interrupt { at });
            }
        }
    }

    /// Whether lanes of `wave` may open at all. Whoever wants an orderly end when every host has changed over gets the rest as
    /// well: without it the release would run everywhere, and no rollback would know of it.
    pub(super) fn may_open(&self, wave: usize) -> bool {
        match (self.plan.waves[wave].phase, &self.stop) {
            (Phase::Failed, stop) => *stop == Some(Stop::Failed),
            (Phase::Finish | Phase::Task, Some(Stop::Cancelled(Cancel::Finish))) => self.is_switched(wave),
            (_, stop) => stop.is_none(),
        }
    }

    /// Whether hosts have changed over before `wave`, and all of them.
    fn is_switched(&self, wave: usize) -> bool {
        let switch = |at: &usize| self.plan.waves[*at].phase == Phase::Switch;
        let done = |at: usize| self.lanes[at].iter().all(|lane| matches!(lane, LaneState::Closed(LaneEnd::Done)));
        (0..wave).any(|at| switch(&at)) && (0..self.lanes.len()).filter(switch).all(done)
    }
}
