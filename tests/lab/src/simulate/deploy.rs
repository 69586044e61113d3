//! One run of shipit on the simulated fleet: locks, looks, plans, carries the plan out and judges, with shipit's own code for all
//! but the lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use shipit::driver::{self, Audience, preflight};
use shipit::engine::{Aftermath, Cancel, End, Event, LaneEnd, Outcome, Scheduler};
use shipit::model::{HostName, Observation, Reach, Release};
use shipit::plan::{Action, Lane, Phase, Plan};
use shipit::strategy::{self, PlanError, PlanInput};
use tokio::sync::{mpsc, oneshot};

use super::fault::Fault;
use super::fleet::Fleet;
use super::guard::Refusal;
use super::state::{Run, RunState, State};
use super::world::Runner;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    /// There was nothing to do.
    Nothing,
    /// Something stands in the way: code 11.
    Preflight(String),
    /// Another run has the lock: code 12.
    Locked,
    /// It was carried out and judged.
    Run(End),
    /// Killed with -9.
    Killed,
}

/// What is asked for.
pub(super) struct Order {
    pub release: Release,
    pub killed_at: Option<u32>,
    pub killed_back: Option<u32>,
    /// When somebody asks for an end, and for which.
    pub cancels: Vec<(Duration, Cancel)>,
}

/// No run waits for longer than this in all. A hang costs its step's limit, of which staging's is a quarter of an hour.
const LONGEST: Duration = Duration::from_hours(12);

/// Runs shipit to its end, whatever that is.
pub(super) async fn deploy(fleet: &Arc<Fleet>, order: Order) -> Exit {
    let (kill, killed) = oneshot::channel();
    let run = fleet.with(|state| {
        let run = state.runs.len();
        state.deploys += 1;
        state.say("begin", run, || format!("run {run} is to deploy {}", order.release.id));
        state.runs.push(RunState {
            kill: Some(kill),
            killed_at: order.killed_at,
            killed_back: order.killed_back,
            ..RunState::default()
        });
        run
    });
    let exit = tokio::select! {
        biased;
        Ok(()) = killed => Exit::Killed,
        exit = ship(fleet, run, &order) => exit,
        () = tokio::time::sleep(LONGEST) => {
            fleet.with(|state| state.broken(format!("10: run {run} does not end")));
            Exit::Killed
        }
    };
    fleet.with(|state| {
        if exit != Exit::Killed {
            state.farewell(run);
        }
        state.check_refused(run, &exit);
        state.say("end", run, || format!("run {run} ends: {exit:?}"));
    });
    exit
}

async fn ship(fleet: &Arc<Fleet>, run: Run, order: &Order) -> Exit {
    let runner = Arc::new(Runner::new(fleet, run));
    match runner.lock_all().await {
        Ok(()) => {}
        Err(Refusal::Held) => return Exit::Locked,
        Err(Refusal::OutOfReach) => return Exit::Preflight("out of reach".to_owned()),
    }
    let setup = &fleet.setup;
    let observed = runner.observe().await;
    let hosts: Vec<_> = setup.inventory.with_role(&setup.recipe.app.role).collect();
    let survey = preflight(&observed, &setup.inventory, &hosts, |_| None);
    if !survey.is_clear() {
        let problems = survey.problems.values().flatten().map(|problem| problem.what.clone());
        return Exit::Preflight(problems.collect::<Vec<_>>().join("; "));
    }
    let mut plan = match plan(fleet, &order.release, &observed) {
        Ok(plan) => plan,
        Err(error) => return Exit::Preflight(error.to_string()),
    };
    fleet.with(|state| state.expect_flips(run, &runner.places, &plan, &observed));
    if let Some(sabotage) = setup.sabotage {
        sabotage.spoil(&mut plan);
    }
    if plan.waves.is_empty() {
        return Exit::Nothing;
    }
    let names: Vec<HostName> = hosts.iter().map(|host| host.name.clone()).collect();
    let served = observed.view(&setup.inventory, &setup.recipe).serving;
    let outcome = carry_out(&runner, plan, &names, served, order).await;
    fleet.with(|state| {
        state.check_end(run, &order.release.id, &outcome);
        if outcome.end == End::Done {
            state.settled = Some(order.release.clone());
        }
    });
    Exit::Run(outcome.end)
}

fn plan(fleet: &Fleet, release: &Release, observed: &Observation) -> Result<Plan, PlanError> {
    let setup = &fleet.setup;
    strategy::plan(&PlanInput {
        inventory: &setup.inventory,
        recipe: &setup.recipe,
        release,
        observed,
        options: &setup.options,
    })
}

async fn carry_out(
    runner: &Arc<Runner>,
    plan: Plan,
    names: &[HostName],
    served: BTreeSet<HostName>,
    order: &Order,
) -> Outcome {
    let plan = Arc::new(plan);
    let (ask, mut cancels) = mpsc::channel(2);
    for (after, how) in order.cancels.clone() {
        let (ask, fleet) = (ask.clone(), runner.fleet.clone());
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            if ask.send(how).await.is_ok() {
                let fault = if how == Cancel::Finish { Fault::CancelFinish } else { Fault::CancelUnwind };
                fleet.with(|state| state.fired(fault, 0, String::new));
            }
        });
    }
    drop(ask);
    let scheduler = driver::run(plan.clone(), runner.clone(), &mut Nobody, &mut cancels).await;
    let after = aftermath(runner, &plan, &scheduler, served).await;
    runner.fleet.with(|state| {
        for (at, end) in scheduler.ends() {
            let host = &plan.waves[at.wave].lanes[at.lane].host;
            state.say("lane", at.lane, || format!("{} on {host}: {end:?}", plan.waves[at.wave].name));
            if matches!(end, LaneEnd::Broken { .. }) {
                state.runs[runner.run].not_put_back.insert(runner.places[host]);
            }
        }
    });
    let mut outcome = Outcome::judge(&plan, &scheduler, names, &after);
    if let Some(sabotage) = runner.fleet.setup.sabotage {
        sabotage.misjudge(&mut outcome);
    }
    outcome
}

/// The last look, at whatever the last step of a lane has not just looked at.
async fn aftermath(runner: &Runner, plan: &Plan, scheduler: &Scheduler, served: BTreeSet<HostName>) -> Aftermath {
    let confirmed = scheduler
        .ends()
        .filter(|(at, end)| plan.waves[at.wave].phase == Phase::Finish && *end == LaneEnd::Done)
        .map(|(at, _)| plan.waves[at.wave].lanes[at.lane].host.clone());
    let mut running: BTreeMap<_, _> = confirmed.map(|host| (host, Some(plan.release.id.clone()))).collect();
    let observed = runner.observe().await;
    let view = observed.view(&runner.fleet.setup.inventory, &runner.fleet.setup.recipe);
    let silent = observed.balancers.iter().find(|balancer| balancer.reach != Reach::Reached);
    let unseen = silent.map(|balancer| format!("{} does not answer", balancer.key.host));
    let mut partly = BTreeSet::new();
    for (host, facts) in observed.hosts {
        if facts.runs_partly(&plan.release.id) {
            partly.insert(host.clone());
        }
        if facts.reach == Reach::Reached {
            running.entry(host).or_insert_with(|| facts.running().cloned());
        }
    }
    Aftermath { served, serving: view.serving, running, partly, unseen }
}

impl Runner {
    /// Takes the lock of every station, in order, or of none.
    async fn lock_all(&self) -> Result<(), Refusal> {
        let stations = self.fleet.setup.hosts + self.fleet.setup.balancers;
        for station in 0..stations {
            match self.ask(station, |state| state.lock(station, self.run)).await {
                Ok(done) => done?,
                Err(_) => return Err(Refusal::OutOfReach),
            }
        }
        self.wait_for_servers().await;
        Ok(())
    }

    /// Servers that a dead run had left out are ready again, and soon up where the app answers.
    async fn wait_for_servers(&self) {
        for _ in 0..40 {
            if self.fleet.with(|state| (0..state.hosts.len()).all(|host| state.is_settled(host))) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

impl State {
    /// Which hosts are to flip together, as the observer has it: those of a wave, if one of them has yet to boot the release.
    fn expect_flips(&mut self, run: Run, places: &BTreeMap<HostName, usize>, plan: &Plan, observed: &Observation) {
        for wave in &plan.waves {
            let flips = |lane: &&Lane| lane.steps.iter().any(|step| matches!(step.action, Action::Flip { .. }));
            let hosts: Vec<&HostName> = wave.lanes.iter().filter(flips).map(|lane| &lane.host).collect();
            let is_warm = |host: &&HostName| {
                let idle = &observed.hosts[*host].idle;
                idle.iter().all(|one| one.healthy && one.running.as_ref() == Some(&plan.release.id))
            };
            if hosts.iter().all(is_warm) {
                self.flips_back += u64::from(!hosts.is_empty());
            } else {
                self.runs[run].together.push(hosts.into_iter().map(|host| places[host]).collect());
            }
        }
    }
}

/// Nobody listens: the observer looks at the fleet itself.
struct Nobody;

impl Audience for Nobody {
    fn hear(&mut self, _: Event) {}

    fn tick(&mut self) {}
}
