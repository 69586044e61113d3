//! What the command line asks for, beyond inventory and recipe.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Amount, HostName, LimitSpec, Selector, Verb};

/// How a release goes over the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyName {
    /// Hosts in turn, each out of the balancers while it restarts.
    Rolling,
    /// All hosts at once, each toggling its instances behind its local nginx.
    Hotswap,
    /// All hosts at once, each booting the release beside the old one, then flipping its local nginx in one move.
    Preboot,
}

impl StrategyName {
    /// All strategies, for messages and completions.
    pub const ALL: [Self; 3] = [Self::Rolling, Self::Hotswap, Self::Preboot];

    /// Whether hosts change over behind their own nginx.
    #[must_use]
    pub fn uses_local_nginx(self) -> bool {
        match self {
            Self::Rolling => false,
            Self::Hotswap | Self::Preboot => true,
        }
    }

    /// The word that users write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::Hotswap => "hotswap",
            Self::Preboot => "preboot",
        }
    }
}

impl fmt::Display for StrategyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StrategyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == text).ok_or_else(|| {
            format!("there is no strategy `{text}`; there is {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// The choices of one deploy; limits are already those that hold, after the flags.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What for.
    pub verb: Verb,
    /// How.
    pub strategy: StrategyName,
    /// Limits after the command line's.
    pub limits: LimitSpec,
    /// The command line's own `--max-in-flight`. The inventory's bounds hosts that are out of service; this one bounds
    /// all, also for strategies that take no host out.
    pub max_in_flight: Option<Amount>,
    /// Only these hosts of the app's role.
    pub only: Option<Selector>,
    /// Not these.
    pub except: Option<Selector>,
    /// Nor these, which can't be reached; each counts as one that failed.
    pub skipped: Vec<HostName>,
    /// So many hosts go first, alone.
    pub canary: usize,
    /// How long the fleet is watched between the canaries and the rest.
    pub bake: Duration,
}
