//! How a run ended, judged once, from the final state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Failure;
use crate::model::{HostName, ReleaseId};

/// The final state in one word; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Every host's running process is of the release.
    Done,
    /// It failed, no host runs the release, and all that served before serve.
    RolledBack,
    /// It stopped with hosts on both releases; all that served before serve.
    Mixed,
    /// A host does not serve, or it is not known what it does.
    NeedsPerson,
    /// It was cancelled and has left nothing half done.
    Cancelled,
}

/// Where the run leaves one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostEnd {
    /// What its processes run, as far as they agree and could be asked.
    pub release: Option<ReleaseId>,
    /// Whether it takes traffic on every balancer that serves it.
    pub serving: bool,
    /// What the run did there, in a few words.
    pub note: String,
    /// Whether a person must look.
    pub trouble: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// In one word.
    pub end: End,
    /// Each host of the fleet.
    pub hosts: BTreeMap<HostName, HostEnd>,
    /// What failed: the host, the step's words, and why; worst first.
    pub failures: Vec<(HostName, String, Failure)>,
    /// Words about the run as a whole.
    pub notes: Vec<String>,
}

impl End {
    /// The exit code of a run that ended so. Fixed for good: pipelines branch on it.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::RolledBack => 20,
            Self::Mixed => 21,
            Self::NeedsPerson => 22,
            Self::Cancelled => 23,
        }
    }

    /// The same for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::RolledBack => "failed and rolled back, all serving",
            Self::Mixed => "stopped, releases mixed, floor kept",
            Self::NeedsPerson => "a person is needed",
            Self::Cancelled => "cancelled in order",
        }
    }

    /// The same for programs, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::RolledBack => "rolled-back",
            Self::Mixed => "mixed",
            Self::NeedsPerson => "needs-person",
            Self::Cancelled => "cancelled",
        }
    }
}
