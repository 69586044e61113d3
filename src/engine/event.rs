//! The one stream that reporters read.

use serde::{Deserialize, Serialize};

use super::{Command, Fact, LaneRef, Outcome};
use crate::plan::Plan;

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Event {
    /// The run begins with this plan.
    Planned {
        /// The run's id.
        run: String,
        /// What will be done.
        plan: Plan,
    },
    /// The scheduler said so.
    Command(Command),
    /// This happened.
    Fact(Fact),
    /// A running step says how far it is.
    Progress {
        /// Whose step.
        at: LaneRef,
        /// In words.
        text: String,
    },
    /// The run is over.
    Finished {
        /// How, and where that leaves every host.
        outcome: Outcome,
    },
}

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Seconds since the run began.
    pub elapsed: f64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}
