//! What an event changed, in the form that is told: with durations, and with the ends that events only imply.

use std::time::Duration;

use crate::engine::{Cancel, LaneEnd, LaneRef, StepResult};
use crate::plan::Action;

/// One thing worth telling.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The run begins.
    Planned,
    /// A wave begins.
    WaveOpened(usize),
    /// No lane of a wave is open any more, and none will be.
    WaveEnded {
        /// Which.
        wave: usize,
        /// After so many seconds.
        took: f64,
    },
    /// A lane began what the board says that it does.
    StepStarted(LaneRef),
    /// A lane says how far it is; the words are on the board.
    Progress(LaneRef),
    /// A step ended, or the taking back of one.
    StepEnded {
        /// Whose.
        at: LaneRef,
        /// What was done.
        action: Action,
        /// Whether it took something back.
        undo: bool,
        /// After so many seconds.
        took: f64,
        /// How.
        result: StepResult,
    },
    /// A lane ended.
    LaneEnded {
        /// Which.
        at: LaneRef,
        /// How.
        end: LaneEnd,
        /// After so many seconds.
        took: f64,
    },
    /// No lane may open for now.
    Held {
        /// So many serve.
        serving: usize,
        /// So many must.
        floor: usize,
    },
    /// The balancers could not be looked at.
    LookFailed(String),
    /// A wave's hosts are watched before the next wave.
    GateOpened {
        /// Of which wave.
        wave: usize,
        /// For so long.
        duration: Duration,
    },
    /// The watching ended.
    GateClosed {
        /// Of which wave.
        wave: usize,
        /// After so many seconds.
        took: f64,
        /// How.
        result: StepResult,
    },
    /// Somebody asked for an end.
    CancelAsked(Cancel),
}

impl News {
    /// Whether somebody who asked for quiet wants to know.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        match self {
            Self::StepEnded { result, .. } | Self::GateClosed { result, .. } => !matches!(result, StepResult::Ok(_)),
            Self::LaneEnded { end, .. } => matches!(end, LaneEnd::Broken { .. }),
            Self::CancelAsked(_) => true,
            _ => false,
        }
    }
}
