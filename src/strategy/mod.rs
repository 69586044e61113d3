//! Strategies: how a release goes over the fleet. Pure functions from what is known to a plan.

mod frame;
mod hotswap;
mod limits;
mod preboot;
mod rolling;
mod steps;
mod target;

use std::sync::LazyLock;

use crate::model::{
    EnvironmentName, Host, HostFacts, HostName, Inventory, Observation, Options, Recipe, Release, ReleaseId,
    SelectorError, StrategyName, View,
};
use crate::plan::{Plan, Wave, lint};

pub use frame::can_get;
use limits::Limits;
pub use target::{NoTarget, leaving, target};

/// All that a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The environment.
    pub inventory: &'a Inventory,
    /// How the app is shipped.
    pub recipe: &'a Recipe,
    /// What is to run.
    pub release: &'a Release,
    /// What a look at the fleet showed.
    pub observed: &'a Observation,
    /// What the command line says.
    pub options: &'a Options,
}

/// Decides how hosts change over. What comes before and after (staging, tasks, tidying) is the same for all.
pub trait Strategy: Sync {
    /// The waves in which `hosts` change to the release.
    fn waves(&self, input: &PlanInput<'_>, limits: &Limits, hosts: &[&Host]) -> Result<Vec<Wave>, PlanError>;
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A selector that fits no host.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// Selectors that leave no host of the app.
    #[error("`--only` and `--except` leave no host with role `{role}`")]
    NoHosts {
        /// The app's role.
        role: String,
    },
    /// Taking one host out would break the floor.
    #[error(
        "{serving} of {fleet} hosts serve, and taking one out would leave less than `min-serving` demands ({floor})"
    )]
    Floor {
        /// How many serve now.
        serving: usize,
        /// How many there are.
        fleet: usize,
        /// How many must serve.
        floor: usize,
    },
    /// A recipe that lacks what the strategy needs.
    #[error("{strategy} can't be used: {what}")]
    Recipe {
        /// Which strategy.
        strategy: StrategyName,
        /// What is in its way.
        what: String,
    },
    /// A plan that breaks a rule of safety: a bug.
    #[error("the plan is unsafe, which is a bug in shipit: {}", faults.join("; "))]
    Unsafe {
        /// The rules.
        faults: Vec<String>,
    },
    /// An older release that is to run again, but is not there.
    #[error("release {release} is not on {}", hosts.join(", "))]
    NotThere {
        /// Which.
        release: ReleaseId,
        /// Where it is missing.
        hosts: Vec<String>,
    },
}

impl PlanError {
    /// The way out, in `environment`.
    #[must_use]
    pub fn help(&self, environment: &EnvironmentName) -> String {
        match self {
            Self::Selector(_) | Self::NoHosts { .. } => {
                format!("`shipit hosts {environment}` lists the hosts with their roles and labels")
            }
            Self::Floor { serving, fleet, .. } if serving == fleet => {
                "all hosts serve: lower `min-serving`, so that there is room for one to leave".to_owned()
            }
            Self::Floor { .. } => format!(
                "mend the hosts that do not serve (`shipit status {environment}` shows them), or lower `min-serving` if fewer will do"
            ),
            Self::Recipe { .. } => "mend the recipe, or choose `--strategy rolling`".to_owned(),
            Self::Unsafe { .. } => "please report it with the inventory and the recipe; nothing was changed".to_owned(),
            Self::NotThere { .. } => format!(
                "`shipit releases {environment}` lists which host has which; pick those with `--only`, or deploy from the source"
            ),
        }
    }
}

impl PlanInput<'_> {
    /// What was seen on `host`; a host that was not looked at has shown nothing.
    #[must_use]
    pub fn facts(&self, host: &HostName) -> &HostFacts {
        static NOTHING: LazyLock<HostFacts> = LazyLock::new(HostFacts::default);
        self.observed.hosts.get(host).unwrap_or(&NOTHING)
    }

    /// Whether `host` runs the release and serves, so that there is nothing to do.
    fn is_current(&self, host: &Host, view: &View) -> bool {
        let facts = self.facts(&host.name);
        facts.current.as_ref() == Some(&self.release.id)
            && facts.running() == Some(&self.release.id)
            && facts.healthy()
            && !facts.is_misrouted()
            && view.serving.contains(&host.name)
    }
}

/// The strategy called `name`.
fn named(name: StrategyName) -> &'static dyn Strategy {
    match name {
        StrategyName::Rolling => &rolling::Rolling,
        StrategyName::Hotswap => &hotswap::Hotswap,
        StrategyName::Preboot => &preboot::Preboot,
    }
}

/// The hosts of the app that a deploy with `options` is about, in the inventory's order.
pub fn picked<'a>(inventory: &'a Inventory, recipe: &Recipe, options: &Options) -> Result<Vec<&'a Host>, PlanError> {
    for selector in [&options.only, &options.except].into_iter().flatten() {
        selector.check(&inventory.hosts)?;
    }
    let wanted = |host: &&Host| {
        options.only.as_ref().is_none_or(|only| only.picks(host))
            && !options.except.as_ref().is_some_and(|except| except.picks(host))
            && !options.skipped.contains(&host.name)
    };
    let role = &recipe.app.role;
    let hosts: Vec<&Host> = inventory.hosts.iter().filter(|host| host.roles.contains(role)).filter(wanted).collect();
    if hosts.is_empty() { Err(PlanError::NoHosts { role: role.to_string() }) } else { Ok(hosts) }
}

/// Makes the plan of a deploy.
pub fn plan(input: &PlanInput<'_>) -> Result<Plan, PlanError> {
    let chosen = picked(input.inventory, input.recipe, input.options)?;
    let limits = Limits::resolve(input);
    let view = input.observed.view(input.inventory, input.recipe);
    let (current, behind): (Vec<&Host>, Vec<&Host>) =
        chosen.iter().copied().partition(|host| input.is_current(host, &view));
    let switch = named(input.options.strategy).waves(input, &limits, &behind)?;
    let plan = frame::plan(input, &limits, &chosen, &current, switch)?;
    let faults = lint(&plan);
    if faults.is_empty() { Ok(plan) } else { Err(PlanError::Unsafe { faults }) }
}
