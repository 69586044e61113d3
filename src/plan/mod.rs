//! The plan: waves of lanes of steps. Shown, linted and stored before anything is done.
//!
//! A plan leaves no choice but the order in which lanes open, which the scheduler makes within the wave's limits.

mod action;
mod lint;
mod show;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{EnvironmentName, HostName, RecipeName, Release, ReleaseId, StrategyName, Verb};

pub use action::Action;
pub use lint::lint;
pub use show::{Detail, show};

/// A whole deploy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What for.
    #[serde(default)]
    pub verb: Verb,
    /// Where to.
    pub environment: EnvironmentName,
    /// By which recipe.
    pub recipe: RecipeName,
    /// By which strategy.
    pub strategy: StrategyName,
    /// What.
    pub release: Release,
    /// What the hosts run now; several where they differ.
    pub replaces: Vec<ReleaseId>,
    /// The app's hosts, all of them: the floor is judged on these.
    pub fleet: Vec<HostName>,
    /// Hosts that can't be reached and are left as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<HostName>,
    /// Failed hosts that do not stop the deploy, besides the skipped ones.
    pub max_failures: usize,
    /// In order; one ends before the next begins.
    pub waves: Vec<Wave>,
}

/// Hosts that may go together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wave {
    /// For people.
    pub name: String,
    /// What its failure means.
    pub phase: Phase,
    /// Most lanes open at once.
    pub max_in_flight: usize,
    /// Fewest hosts of the fleet in service while a lane is open; `None` where no lane takes its host out.
    pub min_serving: Option<usize>,
    /// What must hold before the next wave begins.
    pub gate: Gate,
    /// What becomes of the hosts that have changed over when too many others failed.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// One a host.
    pub lanes: Vec<Lane>,
}

/// The part of a deploy that a wave belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Traffic is not touched: a failed host is left as it was, and out of what follows.
    Prepare,
    /// A script of the user's: its failure ends the deploy, whatever the failure budget.
    Task,
    /// Hosts change what they serve.
    Switch,
    /// Everything serves the release; what is left is tidying.
    Finish,
    /// Runs only if the deploy failed.
    Failed,
}

/// What becomes of a wave's hosts that are done when the deploy fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// They keep the release: going back would take them out once more.
    #[default]
    Keep,
    /// They go back too, so that the fleet ends on one release.
    TakeBack,
}

/// What must hold between two waves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Nothing more than that the wave is over.
    Open,
    /// The hosts of the wave are watched so long, on the balancers' own counters.
    Bake(Duration),
}

/// One host's sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// The host.
    pub host: HostName,
    /// In order.
    pub steps: Vec<Step>,
}

/// One action, and what takes it back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// What is done, in order, if this step or a later one of the lane fails. Each looks before it acts, so that
    /// it may run although the step itself never began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Action>,
    /// How long it may take in all.
    pub timeout: Duration,
}

impl Lane {
    /// Whether its host is out of service while the lane is open.
    #[must_use]
    pub fn takes_host_out(&self) -> bool {
        self.steps.iter().any(|step| step.action == Action::Drain)
    }

    /// Whether an app stays that the lane has begun, once the steps up to and with the one at `reached` are taken back: before the
    /// first deploy there was none, so there is nothing that could be started in its place.
    #[must_use]
    pub fn leaves_app(&self, reached: usize) -> bool {
        let nothing_before =
            |undo: &[Action]| matches!(undo, [Action::Activate { release: None, instances }] if !instances.is_empty());
        self.steps.iter().take(reached.saturating_add(1)).any(|step| nothing_before(&step.undo))
    }

    /// What takes back the steps up to and with the one at `reached`, last step first, each with the place of its step.
    pub fn undo_from(&self, reached: usize) -> impl Iterator<Item = (usize, &Action)> {
        let steps = self.steps.iter().enumerate().take(reached + 1).rev();
        steps.flat_map(|(place, step)| step.undo.iter().map(move |action| (place, action)))
    }
}
