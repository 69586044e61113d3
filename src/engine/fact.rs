//! What the scheduler hears and what it says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LaneEnd;
use crate::model::{StepResult, View};
use crate::plan::Action;

/// A lane of the plan, by the wave that it is in and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneRef {
    /// Which wave.
    pub wave: usize,
    /// Which lane of it.
    pub lane: usize,
}

/// How urgently a person or a CI system wants the deploy to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cancel {
    /// Open lanes end, no other one opens.
    Finish,
    /// Open lanes are undone now.
    Unwind,
}

/// What happened in the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fact")]
pub enum Fact {
    /// The deploy begins.
    Begin,
    /// A step ended.
    StepFinished {
        /// Whose.
        at: LaneRef,
        /// How.
        result: StepResult,
    },
    /// An action that takes something back ended.
    UndoFinished {
        /// Whose.
        at: LaneRef,
        /// How.
        result: StepResult,
    },
    /// The balancers were looked at; `Err` says why that was not possible.
    Looked {
        /// What was seen.
        view: Result<View, String>,
    },
    /// A gate was watched to its end.
    GateClosed {
        /// Of which wave.
        wave: usize,
        /// Whether the next wave may begin.
        result: StepResult,
    },
    /// Somebody wants it to end.
    CancelAsked {
        /// How urgently.
        how: Cancel,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Command {
    /// A wave begins.
    OpenWave {
        /// Which.
        wave: usize,
    },
    /// Do a step; answered by [`Fact::StepFinished`].
    Perform {
        /// Whose.
        at: LaneRef,
        /// Which of the lane.
        step: usize,
    },
    /// Stop waiting for the step that runs; answered by [`Fact::StepFinished`] with an unknown result.
    Interrupt {
        /// Whose.
        at: LaneRef,
    },
    /// Take something back; answered by [`Fact::UndoFinished`].
    Undo {
        /// Whose.
        at: LaneRef,
        /// The step that it takes back, alone or with others.
        step: usize,
        /// What to do for that.
        action: Action,
    },
    /// A lane has ended.
    CloseLane {
        /// Which.
        at: LaneRef,
        /// How.
        end: LaneEnd,
    },
    /// Look at the balancers, after this wait; answered by [`Fact::Looked`].
    Look {
        /// How long to wait before.
        after: Duration,
    },
    /// No lane may open for now: so many hosts serve, and so many must.
    Hold {
        /// How many serve now.
        serving: usize,
        /// The floor.
        floor: usize,
    },
    /// Watch a wave's hosts for a while; answered by [`Fact::GateClosed`].
    WatchGate {
        /// Which wave.
        wave: usize,
        /// How long.
        duration: Duration,
    },
    /// It is over.
    Finish,
}
