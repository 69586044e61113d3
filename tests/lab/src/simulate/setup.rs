//! One simulated deploy before it begins: which fleet, how it is deployed to, and what may go wrong.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shipit::config::{Demands, load};
use shipit::model::{Amount, Inventory, Leftover, Options, Recipe, StrategyName, Task, Verb};

use super::fault::{Fault, Swarm};
use super::random::Random;
use super::sabotage::Sabotage;
use crate::error::{Error, Result};

/// What comes after the deploy that the faults are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    Nothing,
    /// The same release again, as `shipit resume` has it.
    Resume,
    /// Back to the release that the whole fleet ran before.
    Rollback,
    /// Another release.
    Next,
}

impl After {
    pub(super) const ALL: [Self; 4] = [Self::Nothing, Self::Resume, Self::Rollback, Self::Next];
}

/// The largest fleet, which all others are made of.
#[derive(Debug, Clone)]
pub(super) struct Base {
    inventory: Inventory,
    recipe: Recipe,
}

impl Base {
    pub(super) fn read() -> Result<Self> {
        let project = tempfile::tempdir().map_err(Error::file("create", Path::new("a temporary directory")))?;
        for (folder, name, text) in [
            ("inventories", "simulated.toml", include_str!("inventory.toml")),
            ("recipes", "web.toml", include_str!("recipe.toml")),
        ] {
            let folder = project.path().join(folder);
            fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
            fs::write(folder.join(name), text).map_err(Error::file("write", &folder))?;
        }
        let demands = Demands { artifact: false, ..Demands::ALL };
        let (inventory, recipe) =
            load(project.path(), "simulated", demands).map_err(|errors| Error::Failed(errors.to_string()))?;
        Ok(Self { inventory, recipe })
    }
}

/// All that is decided before the clock starts.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// The tasks that the recipe may have.
    tasks: Vec<Task>,
    pub seed: u64,
    pub inventory: Arc<Inventory>,
    pub recipe: Arc<Recipe>,
    pub options: Options,
    pub hosts: usize,
    pub balancers: usize,
    /// haproxy's `inter`, and the checks that take a server down and up.
    pub check: Duration,
    pub fall: u32,
    pub rise: u32,
    /// Nothing was ever deployed.
    pub is_first: bool,
    pub swarm: Swarm,
    /// Faults that happen at these times, besides those of the swarm.
    pub scheduled: Vec<(Duration, Fault)>,
    pub after: After,
    /// What ends it all, when nothing goes wrong any more.
    pub last: After,
    /// The runner is killed at this point, where points are before and after everything that it does.
    pub killed_at: Option<u32>,
    /// The same after so many things that it has taken back.
    pub killed_back: Option<u32>,
    pub sabotage: Option<Sabotage>,
}

impl Setup {
    /// What `seed` says.
    pub(super) fn draw(base: &Base, seed: u64, strategy: Option<StrategyName>, sabotage: Option<Sabotage>) -> Self {
        let mut random = Random::of(seed);
        let strategy = sabotage.and_then(Sabotage::strategy).or(strategy).unwrap_or_else(|| random.pick(&STRATEGIES));
        let hosts = random.place(8) + 1;
        let balancers = random.place(2) + 1;
        let least = if strategy == StrategyName::Hotswap { 2 } else { 1 };
        let instances = random.place(4 - least) + least;
        let mut setup = Self::plain(base, seed, strategy, hosts, balancers, instances);
        setup.limits(&mut random);
        setup.swarm = Swarm::choose(&mut random).and(sabotage.map_or(&[], Sabotage::needs));
        setup.recipe = Arc::new(recipe(&setup, &mut random));
        setup.check = if random.chance(250) { random.millis(2000, 5000) } else { random.millis(300, 2000) };
        setup.fall = random.pick(&[1, 2, 3]);
        setup.is_first = random.chance(60);
        setup.after = random.pick(&After::ALL);
        setup.last = random.pick(&After::ALL[1..]);
        if setup.swarm.has(Fault::RunnerKilled) {
            let points = u64::try_from(hosts * (instances + 2) * 8).unwrap_or(u64::MAX);
            setup.killed_at = u32::try_from(random.between(1, points)).ok();
            if random.chance(200) {
                (setup.killed_at, setup.killed_back) = (None, u32::try_from(random.between(1, 8)).ok());
            }
        }
        setup.sabotage = sabotage;
        setup
    }

    /// A fleet of that size on which nothing goes wrong.
    pub(super) fn plain(
        base: &Base,
        seed: u64,
        strategy: StrategyName,
        hosts: usize,
        balancers: usize,
        instances: usize,
    ) -> Self {
        let mut inventory = base.inventory.clone();
        let (web, lb): (Vec<_>, Vec<_>) =
            inventory.hosts.drain(..).partition(|host| host.name.as_str().starts_with("web"));
        inventory.hosts = web.into_iter().take(hosts).chain(lb.into_iter().take(balancers)).collect();
        let mut recipe = base.recipe.clone();
        recipe.app.instances.truncate(instances);
        match &mut recipe.preboot {
            Some(preboot) if strategy == StrategyName::Preboot => preboot.instances.truncate(instances),
            other => *other = None,
        }
        let tasks = std::mem::take(&mut recipe.tasks);
        let floor = u32::from(hosts > 1);
        inventory.limits.min_serving = Amount::Count(floor);
        let options = Options {
            verb: Verb::Deploy,
            skipped: Vec::new(),
            strategy,
            limits: inventory.limits,
            max_in_flight: None,
            only: None,
            except: None,
            canary: 0,
            bake: Duration::ZERO,
        };
        Self {
            tasks,
            seed,
            inventory: Arc::new(inventory),
            recipe: Arc::new(recipe),
            options,
            hosts,
            balancers,
            check: Duration::from_secs(1),
            fall: 2,
            rise: 2,
            is_first: false,
            swarm: Swarm::default(),
            scheduled: Vec::new(),
            after: After::Nothing,
            last: After::Next,
            killed_at: None,
            killed_back: None,
            sabotage: None,
        }
    }

    fn limits(&mut self, random: &mut Random) {
        let count = |number: usize| Amount::Count(u32::try_from(number).unwrap_or(u32::MAX));
        let most = count(random.place(self.hosts) + 1);
        self.options.limits.max_in_flight = most;
        self.options.limits.min_serving = count(random.place(self.hosts));
        self.options.limits.max_failures = count(if random.chance(700) { 0 } else { random.place(self.hosts) });
        if random.chance(300) {
            self.options.max_in_flight = Some(most);
        }
        if random.chance(250) {
            self.options.canary = random.place(2) + 1;
            self.options.bake = random.millis(0, 5000);
        }
    }

    /// The fewest hosts that must serve.
    pub(super) fn floor(&self) -> usize {
        self.options.limits.min_serving.of(self.hosts, shipit::model::Rounding::Up)
    }

    /// In one line, for people.
    pub(super) fn words(&self) -> String {
        let limits = self.options.limits;
        format!(
            "{} on {} hosts with {} instances behind {} balancers; in flight {}, floor {}, failures allowed {}, canary {}; \
             then {:?}, at last {:?}; haproxy checks every {:?}, fall {}, rise {}; killed at {:?}, on the way back {:?}; faults: {}",
            self.options.strategy,
            self.hosts,
            self.recipe.app.instances.len(),
            self.balancers,
            limits.max_in_flight,
            limits.min_serving,
            limits.max_failures,
            self.options.canary,
            self.after,
            self.last,
            self.check,
            self.fall,
            self.rise,
            self.killed_at,
            self.killed_back,
            self.swarm.names(),
        )
    }
}

const STRATEGIES: [StrategyName; 3] = [StrategyName::Rolling, StrategyName::Hotswap, StrategyName::Preboot];

/// How long an old release is kept warm, in seconds: not at all, until somebody may want it back, and for long.
const WARM: [u64; 4] = [0, 15, 60, 600];

/// The recipe with what chance changes about it.
fn recipe(setup: &Setup, random: &mut Random) -> Recipe {
    let mut recipe = (*setup.recipe).clone();
    if setup.options.strategy == StrategyName::Rolling && random.chance(500) {
        recipe.hotswap = None;
    }
    if random.chance(300) {
        recipe.drain.leftover = Leftover::Cut;
    }
    if random.chance(300) {
        recipe.warm.urls.clear();
    }
    if random.chance(250) || setup.swarm.has(Fault::TaskFails) {
        recipe.tasks.clone_from(&setup.tasks);
    }
    if let Some(preboot) = &mut recipe.preboot {
        preboot.keep_warm = Duration::from_secs(random.pick(&WARM));
    }
    recipe.release.keep = random.place(3) + 2;
    recipe
}
