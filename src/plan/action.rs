//! The actions that plans are made of: verbs, with all the data that they need.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Instance, Release, ReleaseId, TaskName, Until, friendly};

/// One thing that is done to one host.
///
/// Each looks first, acts if needed and reads back, so doing it twice is the same as doing it once. A task is
/// the exception: what it does twice is up to its author, unless it is `once`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// Sends the release's archive to the host.
    Upload {
        /// The release.
        release: Release,
    },
    /// Makes the release's directory: unpacked, linked, checked, sealed last.
    Stage {
        /// The release.
        release: Release,
    },
    /// Runs a task of the recipe.
    Task {
        /// Which.
        name: TaskName,
        /// The release that the deploy is about.
        release: ReleaseId,
    },
    /// Takes the host out of every balancer and waits for its last request.
    Drain,
    /// Puts the host back into every balancer.
    Enable {
        /// What is waited for.
        until: Until,
    },
    /// Points `current` at the release and restarts the instances that do not run it; without instances, only the first.
    Activate {
        /// The release; `None` where there was none, when only the link is taken away.
        release: Option<ReleaseId>,
        /// The instances.
        instances: Vec<Instance>,
    },
    /// Waits until the instances are healthy and their processes are of the release.
    Health {
        /// The release; `None` on the way back to what no deploy of ours made, when any will do.
        release: Option<ReleaseId>,
        /// The instances.
        instances: Vec<Instance>,
    },
    /// Sends the instances requests of no user.
    Warm {
        /// The release that they run.
        release: ReleaseId,
        /// The instances.
        instances: Vec<Instance>,
    },
    /// The host's local nginx sends traffic to these instances of the recipe and to no other: done when that is applied
    /// and nothing is left on the others. What takes it back is the same with the instances that were routed before.
    Route {
        /// The instances that get traffic; never none.
        to: Vec<Instance>,
    },
    /// Waits until all other lanes of the wave have come so far. The scheduler does it, and the lane goes back if it is in vain.
    Meet,
    /// The same move of the local nginx, from one set of instances to the other, without a wait for what is left on the old ones: they
    /// go on, and end it.
    Flip {
        /// The instances that get traffic; never none.
        to: Vec<Instance>,
    },
    /// Waits until nothing is left on instances that get no traffic, so that they may be restarted.
    Clear {
        /// The instances.
        instances: Vec<Instance>,
    },
    /// Stops instances that get no traffic, once nothing is left on them.
    Stop {
        /// The instances.
        instances: Vec<Instance>,
        /// How long they are kept before that. With any time at all, the host sees to it by itself.
        after: Duration,
    },
    /// Watches the balancers' counters for the host.
    Watch,
    /// Reads back that the host runs the release, marks it as confirmed and prunes old releases.
    Confirm {
        /// The release.
        release: Release,
        /// How many releases stay.
        keep: usize,
        /// What the deploy replaces, here or on other hosts. It stays too: until all hosts are confirmed it is what the fleet would
        /// go back to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        replaces: Vec<ReleaseId>,
        /// The instances.
        instances: Vec<Instance>,
    },
}

impl Action {
    /// The word for it in progress and logs.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Upload { .. } => "upload",
            Self::Stage { .. } => "stage",
            Self::Task { .. } => "task",
            Self::Drain => "drain",
            Self::Enable { .. } => "enable",
            Self::Activate { instances, .. } if instances.is_empty() => "current",
            Self::Activate { .. } => "restart",
            Self::Health { .. } => "health",
            Self::Warm { .. } => "warm",
            Self::Route { .. } => "route",
            Self::Meet => "meet",
            Self::Flip { .. } => "flip",
            Self::Clear { .. } => "clear",
            Self::Stop { .. } => "stop",
            Self::Watch => "watch",
            Self::Confirm { .. } => "confirm",
        }
    }

    /// The same for a column: a task by its own name.
    #[must_use]
    pub fn short(&self) -> &str {
        match self {
            Self::Task { name, .. } => name.as_str(),
            other => other.verb(),
        }
    }
}

impl Action {
    /// The release that it is about.
    #[must_use]
    pub fn release(&self) -> Option<&ReleaseId> {
        match self {
            Self::Upload { release } | Self::Stage { release } | Self::Confirm { release, .. } => Some(&release.id),
            Self::Task { release, .. } | Self::Warm { release, .. } => Some(release),
            Self::Activate { release, .. } | Self::Health { release, .. } => release.as_ref(),
            Self::Drain
            | Self::Enable { .. }
            | Self::Route { .. }
            | Self::Meet
            | Self::Flip { .. }
            | Self::Clear { .. }
            | Self::Stop { .. }
            | Self::Watch => None,
        }
    }

    /// Which part of its host it is about, where that is not all of it: the instance, or where traffic goes.
    #[must_use]
    pub fn part(&self) -> Option<String> {
        match self {
            Self::Route { to } | Self::Flip { to } => Some(format!("to {}", list(to))),
            Self::Clear { instances } => Some(list(instances)),
            Self::Stop { instances, after } if after.is_zero() => Some(list(instances)),
            Self::Stop { instances, after } => Some(format!("{} in {}", list(instances), friendly(*after))),
            Self::Activate { instances, .. } | Self::Health { instances, .. } | Self::Warm { instances, .. } => {
                (instances.len() == 1).then(|| list(instances))
            }
            _ => None,
        }
    }

    /// The word for it, and its part: for a line that moves.
    #[must_use]
    pub fn label(&self) -> String {
        let part = self.part().map(|part| format!(" {part}")).unwrap_or_default();
        format!("{}{part}", self.short())
    }
}

fn list(instances: &[Instance]) -> String {
    instances.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task { name, .. } => write!(f, "task {name}"),
            Self::Activate { release: Some(release), .. } => write!(f, "{} on {release}", self.label()),
            other => f.write_str(&other.label()),
        }
    }
}
