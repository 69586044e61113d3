//! What is done to both hosts: the steps of whole deploys, steps that no deploy would take just then, and what goes wrong.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use shipit::driver::Deed;
use shipit::model::{Instance, Release, ReleaseId, StrategyName};
use shipit::plan::{Action, Lane, OnFailure, Phase};
use shipit::remote::Undo;
use shipit::strategy::{self, PlanInput};
use tokio::sync::oneshot;

use super::host::Facts;
use super::real::Real;
use crate::simulate::fleet::Fleet;
use crate::simulate::random::Random;
use crate::simulate::script::{self, Said};
use crate::simulate::setup::{Base, Setup};
use crate::simulate::state::{Quality, Run, RunState, State};
use crate::simulate::world::Runner;

/// Waits for health that ought to come; and for such that will not.
const PATIENT: Duration = Duration::from_secs(20);
const IMPATIENT: Duration = Duration::from_secs(1);

/// A step number that is above all of a plan's.
const STRAY: usize = 900;

/// One thing that is done to both.
#[derive(Clone)]
pub(super) enum Move {
    /// Somebody runs shipit.
    Begin,
    Step(Deed),
    /// A lane is closed: what the guard knows of it is settled.
    Forget,
    Farewell,
    /// shipit is killed, and its guard does what it is there for.
    ShipitGone,
    GuardKilled,
    /// The supervisor starts a process again that died.
    Crash(usize),
    Reboot,
}

impl Move {
    /// Whether it may change anything that a look at the host shows.
    pub(super) fn can_be_seen(&self) -> bool {
        match self {
            Self::Step(deed) => !matches!(deed.action, Action::Upload { .. }),
            Self::ShipitGone | Self::Crash(_) | Self::Reboot => true,
            Self::Begin | Self::Forget | Self::Farewell | Self::GuardKilled => false,
        }
    }
}

impl fmt::Debug for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin => f.write_str("begin"),
            Self::Step(Deed { action, undo, back }) => {
                write!(f, "{action:?}")?;
                undo.iter().try_for_each(|undo| write!(f, "; undo {} {:?}", undo.step, undo.actions))?;
                back.iter().try_for_each(|step| write!(f, "; takes back {step}"))
            }
            Self::Forget => f.write_str("forget"),
            Self::Farewell => f.write_str("farewell"),
            Self::ShipitGone => f.write_str("shipit gone"),
            Self::GuardKilled => f.write_str("guard killed"),
            Self::Crash(place) => write!(f, "crash of {place}"),
            Self::Reboot => f.write_str("reboot"),
        }
    }
}

/// Both hosts, and the deploy that is under way.
pub(super) struct Both<'a> {
    real: &'a mut Real,
    fleet: Arc<Fleet>,
    run: Option<Run>,
    /// All that are known, the last of them never staged.
    releases: Vec<Release>,
    /// What is still to be done, and which step of which lane each was.
    todo: Vec<(Move, Option<(Arc<Lane>, usize)>)>,
    /// The step that was tried last, if it can be taken back.
    tried: Option<(Arc<Lane>, usize)>,
    has_failed: bool,
    pub done: Vec<String>,
}

impl<'a> Both<'a> {
    pub(super) fn begin(real: &'a mut Real, seed: u64, random: &mut Random) -> Self {
        let mut setup = Setup::plain(&Base::read().unwrap(), seed, StrategyName::Rolling, 1, 1, 2);
        setup.recipe = Arc::new(real.rig.recipe.clone());
        setup.is_first = random.chance(150);
        let fleet = Fleet::of(setup.clone(), State::of(setup, false));
        let releases: Vec<Release> =
            fleet.with(|state| state.hosts[0].releases.values().map(|one| one.release.clone()).collect());
        real.begin(&releases);
        let missing = fleet.with(State::good);
        real.upload(&missing, Quality::Good);
        let releases = releases.into_iter().chain([missing]).collect();
        Self { real, fleet, run: None, releases, todo: Vec::new(), tried: None, has_failed: false, done: Vec::new() }
    }

    /// Lets everything come to rest that goes on in the simulation.
    pub(super) async fn settle(&self) {
        tokio::time::sleep(Duration::from_mins(5)).await;
    }

    pub(super) fn simulated(&self) -> Facts {
        self.fleet.with(|state| {
            let here = &state.hosts[0];
            let reaches_host = |undo: &&Undo| undo.actions.iter().any(is_of_host);
            let undos = here.undo.values().filter(reaches_host).map(|undo| undo.step).collect();
            Facts::of(state.host_facts(0), undos, here.retire.is_some())
        })
    }

    pub(super) fn real(&self) -> Facts {
        Facts::of(self.real.look(), self.real.undos(), self.real.keeps_warm())
    }

    /// What comes next: mostly what the deploy that is under way would do.
    pub(super) async fn choose(&mut self, random: &mut Random) -> Move {
        if self.run.is_none() {
            self.plan(random).await;
            return Move::Begin;
        }
        if std::mem::take(&mut self.has_failed) {
            self.give_up(random);
        }
        match random.place(24) {
            0 if random.chance(400) => Move::GuardKilled,
            1 => Move::ShipitGone,
            2 => Move::Crash(random.place(4)),
            3 if random.chance(400) => Move::Reboot,
            4..8 => self.stray(random),
            _ if self.todo.is_empty() => Move::Farewell,
            _ => {
                let (next, tried) = self.todo.remove(0);
                self.tried = tried;
                next
            }
        }
    }

    /// A step failed: its lane is taken back, or nobody is left to do that.
    fn give_up(&mut self, random: &mut Random) {
        self.todo.clear();
        let Some((lane, reached)) = self.tried.take() else { return };
        if random.chance(400) {
            return self.todo.push((Move::ShipitGone, None));
        }
        let back = lane.undo_from(reached).filter(|(_, action)| is_of_host(action));
        self.todo.extend(back.map(|(place, action)| (Move::Step(Deed::back(action.clone(), place)), None)));
        self.todo.push((Move::Forget, None));
    }

    /// Plans a deploy of a new release, which may be a bad one, or of one that was there.
    async fn plan(&mut self, random: &mut Random) {
        let release = if random.chance(700) { self.new_release(random) } else { self.known(random) };
        let strategy = random.pick(&[StrategyName::Rolling, StrategyName::Hotswap, StrategyName::Preboot]);
        let run = self.fleet.with(|state| {
            state.runs.push(RunState::default());
            state.runs.len() - 1
        });
        let observed = Runner::new(&self.fleet, run).observe().await;
        let setup = &self.fleet.setup;
        let mut options = setup.options.clone();
        options.strategy = strategy;
        let (inventory, recipe) = (&*setup.inventory, &*setup.recipe);
        let plan =
            strategy::plan(&PlanInput { inventory, recipe, release: &release, observed: &observed, options: &options });
        self.done.push(format!("{strategy} of {} {:?}", release.id, plan.as_ref().err()));
        self.todo.clear();
        self.tried = None;
        for wave in plan.map(|plan| plan.waves).unwrap_or_default() {
            let Some(lane) = wave.lanes.into_iter().next().map(Arc::new) else { continue };
            let places = (0..lane.steps.len()).filter(|place| is_of_host(&lane.steps[*place].action));
            let switches = wave.phase == Phase::Switch;
            let step = |place| (Move::Step(Deed::of(&lane, place)), switches.then(|| (lane.clone(), place)));
            self.todo.extend(places.map(step));
            if switches && wave.on_failure == OnFailure::Keep {
                self.todo.push((Move::Forget, None));
            }
        }
    }

    fn new_release(&mut self, random: &mut Random) -> Release {
        let qualities = [Quality::Good, Quality::Good, Quality::Good, Quality::Unhealthy, Quality::WontBoot];
        let quality = random.pick(&qualities);
        let release = self.fleet.with(|state| {
            let release = state.good();
            state.qualities.insert(release.id.clone(), vec![quality]);
            release
        });
        self.real.upload(&release, quality);
        self.releases.insert(0, release.clone());
        self.done.push(format!("{} is {quality:?}", release.id));
        release
    }

    fn known(&self, random: &mut Random) -> Release {
        let there = self
            .fleet
            .with(|state| state.hosts[0].releases.values().map(|one| one.release.clone()).collect::<Vec<_>>());
        if there.is_empty() { self.releases[0].clone() } else { there[random.place(there.len())].clone() }
    }

    /// A step that no plan has in this place.
    fn stray(&self, random: &mut Random) -> Move {
        let recipe = &self.fleet.setup.recipe;
        let any = self.releases[random.place(self.releases.len())].clone();
        let set = if random.chance(500) { &recipe.app.instances } else { recipe.second_set() }.to_vec();
        let some = if random.chance(300) { vec![set[random.place(set.len())]] } else { set.clone() };
        let (current, routed, live) = self.fleet.with(|state| {
            let facts = state.host_facts(0);
            (facts.current.clone(), facts.routed.clone(), recipe.live(&facts).to_vec())
        });
        let known = self.known(random);
        let (action, back) = match random.place(9) {
            0 => (Action::Stage { release: known }, None),
            1 | 2 => {
                let instances = if random.chance(200) { Vec::new() } else { some };
                let back = Action::Activate { release: current, instances: instances.clone() };
                (Action::Activate { release: Some(any.id), instances }, Some(back))
            }
            3 => (Action::Health { release: random.chance(800).then_some(any.id), instances: some }, None),
            4 => (Action::Warm { release: any.id, instances: some }, None),
            5 => (Action::Route { to: some }, Some(Action::Route { to: routed })),
            6 => (Action::Flip { to: set }, Some(Action::Flip { to: routed })),
            7 => {
                let after = if random.chance(500) { Duration::ZERO } else { Duration::from_hours(24) };
                (Action::Stop { instances: set, after }, None)
            }
            _ if random.chance(500) => (Action::Clear { instances: set }, None),
            _ => {
                let replaces = current.into_iter().collect();
                (Action::Confirm { release: any, keep: recipe.release.keep, replaces, instances: live }, None)
            }
        };
        let step = STRAY + self.done.len() % 90;
        let undo =
            back.filter(|_| random.chance(700)).map(|back| Undo { step, actions: vec![back], unless_healthy: None });
        Move::Step(Deed { action, undo, back: None })
    }

    /// Does it to both. What each said of it.
    pub(super) async fn make(&mut self, what: Move) -> (Said, Said) {
        let said = match what {
            Move::Begin => {
                let run = self.fleet.with(|state| {
                    let run = state.runs.len() - 1;
                    assert!(state.lock(0, run).is_ok(), "nobody holds it");
                    run
                });
                self.real.lock(&format!("run-{run}"));
                self.run = Some(run);
                (Ok(()), Ok(()))
            }
            Move::Step(deed) => self.step(deed).await,
            Move::Forget => {
                self.fleet.with(|state| {
                    if self.run.is_some_and(|run| state.fence(0, run)) {
                        state.hosts[0].undo.clear();
                    }
                });
                self.real.forget();
                (Ok(()), Ok(()))
            }
            Move::Farewell => {
                self.end(State::farewell);
                self.real.farewell();
                (Ok(()), Ok(()))
            }
            Move::ShipitGone => {
                self.end(State::kill);
                self.real.lose_shipit();
                (Ok(()), Ok(()))
            }
            Move::GuardKilled => {
                self.fleet.with(|state| state.stations[0].guard = None);
                self.real.kill_guard();
                (Ok(()), Ok(()))
            }
            Move::Crash(place) => {
                let dies = self.fleet.with(|state| {
                    let dies = !state.hosts[0].apps[place].is_stopped;
                    if dies {
                        state.crash(0, place);
                    }
                    dies
                });
                if dies {
                    self.real.start(&[self.instance(place)]);
                }
                (Ok(()), Ok(()))
            }
            Move::Reboot => {
                let started = self.fleet.with(|state| {
                    state.die(0);
                    state.power_on(0);
                    (0..4).filter(|place| !state.hosts[0].apps[*place].is_stopped).collect::<Vec<_>>()
                });
                self.real.kill_guard();
                let started: Vec<Instance> = started.into_iter().map(|place| self.instance(place)).collect();
                self.real.start(&started);
                (Ok(()), Ok(()))
            }
        };
        self.settle().await;
        said
    }

    fn end(&mut self, how: impl FnOnce(&mut State, Run)) {
        if let Some(run) = self.run.take() {
            self.fleet.with(|state| how(state, run));
        }
    }

    fn instance(&self, place: usize) -> Instance {
        self.fleet.setup.recipe.instances()[place]
    }

    async fn step(&mut self, deed: Deed) -> (Said, Said) {
        if matches!(deed.action, Action::Upload { .. }) {
            return (Ok(()), Ok(()));
        }
        let Some(run) = self.run else { unreachable!("steps are of a run") };
        let (tell, told) = oneshot::channel();
        script::step(self.fleet.clone(), run, 0, deed.clone(), tell).await;
        let simulated = told.await.unwrap();
        let patience = if simulated.is_ok() { PATIENT } else { IMPATIENT };
        let back = deed.undo.iter().flat_map(|undo| &undo.actions).filter_map(Action::release);
        let is_good = |release: &ReleaseId| self.fleet.with(|state| state.quality(0, release) == Quality::Good);
        let way_back = if back.into_iter().all(is_good) { PATIENT } else { IMPATIENT };
        let real = self.real.perform(&format!("run-{run}"), &deed, patience, way_back);
        self.has_failed = simulated.is_err();
        (real, simulated)
    }
}

/// Whether it is done on the host itself.
fn is_of_host(action: &Action) -> bool {
    !matches!(action, Action::Drain | Action::Enable { .. } | Action::Watch | Action::Meet)
}
