//! What the scheduler hears and what it says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LaneEnd;
use crate::model::View;
use crate::plan::Action;

/// A lane of the plan, by the wave that it is in and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneRef {
    /// Which wave.
    pub wave: usize,
    /// Which lane of it.
    pub lane: usize,
}

/// Why a step failed, in all that a tired person needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// What happened, as a sentence without its full stop.
    pub what: String,
    /// The command's exit code, where there was a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The last lines that it printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// It holds, as read back; with a few words on what was seen.
    Ok(String),
    /// It does not hold.
    Failed(Failure),
    /// Nobody knows: the line broke, and looking again was not possible either.
    Unknown(Failure),
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

impl Failure {
    /// A failure of which there is no more to say than `what`.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
