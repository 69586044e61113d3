//! Where one lane stands.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Failure, StepResult};
use crate::plan::{Action, Lane};

/// How a lane ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "end")]
pub enum LaneEnd {
    /// All its steps hold.
    Done,
    /// It failed, and what it had changed was taken back.
    Restored {
        /// The step that failed.
        step: usize,
        /// Why.
        failure: Failure,
    },
    /// Nothing failed there; what it had changed was taken back because others failed.
    TakenBack,
    /// Taking it back failed: a person must look.
    Broken {
        /// The step that it had come to.
        step: usize,
        /// Why it was taken back; `None` if nothing failed there but others did.
        failure: Option<Failure>,
        /// The action that should have taken it back.
        undo: Box<Action>,
        /// Why that failed.
        trouble: Failure,
    },
    /// It was never opened.
    Untouched,
}

impl LaneEnd {
    /// Whether `lane`, which was taken back, has left an app where none was before.
    #[must_use]
    pub fn leaves_app(&self, lane: &Lane) -> bool {
        match self {
            Self::Restored { step, .. } => lane.leaves_app(*step),
            Self::TakenBack => lane.leaves_app(lane.steps.len()),
            Self::Done | Self::Broken { .. } | Self::Untouched => false,
        }
    }
}

/// The state of a lane that the scheduler keeps.
#[derive(Debug, Clone)]
pub(super) enum LaneState {
    /// Not opened yet.
    Waiting,
    /// The step runs.
    Running(usize),
    /// It has come to the step at which it waits for the others.
    Met(usize),
    /// What was done is being taken back.
    Undoing(Undoing),
    /// Over.
    Closed(LaneEnd),
}

/// Why a lane is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// Something failed there, or somebody wanted it back.
    Own(Failure),
    /// Nothing is wrong with it: it goes back with the others.
    Others,
}

/// A lane on its way back.
#[derive(Debug, Clone)]
pub(super) struct Undoing {
    step: usize,
    cause: Cause,
    /// What is to be done, each with the place of the step that it takes back.
    left: VecDeque<(usize, Action)>,
    trouble: Option<(Action, Failure)>,
}

impl Undoing {
    /// Takes back what `lane` did up to and with `step`.
    pub(super) fn new(lane: &Lane, step: usize, cause: Cause) -> Self {
        Self {
            step,
            cause,
            left: lane.undo_from(step).map(|(place, action)| (place, action.clone())).collect(),
            trouble: None,
        }
    }

    /// The action to do now; `None` if all is done.
    pub(super) fn current(&self) -> Option<&(usize, Action)> {
        self.left.front()
    }

    /// Hears how the current action ended.
    ///
    /// After a failure the rest is left: the next action is likely to be the one that gives the host traffic, and a host
    /// that could not be put right must not get any. After an unknown result all is left but two things. What came of a restart
    /// is settled by the check of its health. And a balancer that checks its servers may be told `ready` in any case: it admits a
    /// host only if that answers. But who may still have traffic must not be restarted, nor who may not be well get any.
    pub(super) fn hear(&mut self, result: StepResult) {
        let Some((_, action)) = self.left.pop_front() else { return };
        match result {
            StepResult::Ok(_) => {}
            StepResult::Failed(failure) => {
                self.left.clear();
                self.trouble.get_or_insert((action, failure));
            }
            StepResult::Unknown(failure) => {
                let is_settled =
                    matches!((&action, self.current()), (Action::Activate { .. }, Some((_, Action::Health { .. }))));
                if !is_settled {
                    self.left.retain(|(_, action)| matches!(action, Action::Enable { .. }));
                }
                self.trouble.get_or_insert((action, failure));
            }
        }
    }

    /// How the lane ends once nothing is left to take back.
    pub(super) fn end(self) -> LaneEnd {
        let Self { step, cause, trouble, .. } = self;
        let trouble = trouble.map(|(undo, trouble)| (Box::new(undo), trouble));
        match (trouble, cause) {
            (None, Cause::Own(failure)) => LaneEnd::Restored { step, failure },
            (None, Cause::Others) => LaneEnd::TakenBack,
            (Some((undo, trouble)), Cause::Own(failure)) => {
                LaneEnd::Broken { step, failure: Some(failure), undo, trouble }
            }
            (Some((undo, trouble)), Cause::Others) => LaneEnd::Broken { step, failure: None, undo, trouble },
        }
    }
}

impl LaneState {
    /// Whether its host may be out of service because of it.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Undoing(_))
    }
}
