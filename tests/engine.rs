//! Every order in which things can happen on a small fleet, with faults, against the promises of the scheduler.
//!
//! A tiny world answers the scheduler's commands in every possible order, and each answer may be a failure or an unknown
//! result whose effect did or did not happen. The promises are checked on the world, not on the scheduler's own books.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use shipit::engine::{Cancel, Command, Fact, LaneEnd, LaneRef, Scheduler};
use shipit::model::{Failure, HostName, Instance, StepResult, Until, View};
use shipit::plan::{Action, Gate, Lane, OnFailure, Phase, Plan, Step, Wave};

const RELEASE: &str = "20261120-224512-1a2b3c4d";

fn plan(hosts: usize, max_in_flight: usize, min_serving: usize, max_failures: usize) -> Arc<Plan> {
    plan_that(OnFailure::Keep, hosts, max_in_flight, min_serving, max_failures)
}

fn plan_that(
    on_failure: OnFailure,
    hosts: usize,
    max_in_flight: usize,
    min_serving: usize,
    max_failures: usize,
) -> Arc<Plan> {
    let names: Vec<HostName> = (1..=hosts).map(|number| format!("web{number}").parse().unwrap()).collect();
    let step = |action, undo| Step { action, undo, timeout: Duration::from_secs(1) };
    let back = vec![Action::Activate { release: None, instances: vec![] }];
    let lane = |host: &HostName| Lane {
        host: host.clone(),
        steps: vec![
            step(Action::Drain, vec![Action::Enable { until: Until::Up }]),
            step(Action::Activate { release: Some(RELEASE.parse().unwrap()), instances: vec![] }, back.clone()),
            step(Action::Enable { until: Until::Up }, vec![Action::Drain]),
        ],
    };
    let fingerprint = "1a2b3c4d".repeat(8).parse().unwrap();
    Arc::new(Plan {
        verb: shipit::model::Verb::Deploy,
        skipped: vec![],
        environment: "test".parse().unwrap(),
        recipe: "test".parse().unwrap(),
        strategy: shipit::model::StrategyName::Rolling,
        release: shipit::model::Release { id: RELEASE.parse().unwrap(), fingerprint, origin: String::new() },
        replaces: vec![],
        fleet: names.clone(),
        max_failures,
        waves: vec![Wave {
            name: "rolling".to_owned(),
            phase: Phase::Switch,
            max_in_flight,
            min_serving: Some(min_serving),
            gate: Gate::Open,
            on_failure,
            lanes: names.iter().map(lane).collect(),
        }],
    })
}

/// A preboot of so many hosts: booted, then flipped when all are.
fn preboot(hosts: usize, max_in_flight: usize, max_failures: usize) -> Arc<Plan> {
    let step = |action, undo| Step { action, undo, timeout: Duration::from_secs(1) };
    let flip = |port| Action::Flip { to: vec![Instance(port)] };
    let mut plan = (*plan_that(OnFailure::TakeBack, hosts, max_in_flight, 1, max_failures)).clone();
    for lane in &mut plan.waves[0].lanes {
        lane.steps = vec![
            step(
                Action::Activate { release: Some(RELEASE.parse().unwrap()), instances: vec![] },
                vec![Action::Stop { instances: vec![], after: Duration::ZERO }],
            ),
            step(Action::Meet, vec![]),
            step(flip(5040), vec![flip(4040)]),
            step(Action::Watch, vec![]),
        ];
    }
    Arc::new(plan)
}

/// A hot-swap of so many hosts, the first of which are canaries.
fn hotswap(hosts: usize, canaries: usize, max_in_flight: usize, max_failures: usize) -> Arc<Plan> {
    let step = |action, undo| Step { action, undo, timeout: Duration::from_secs(1) };
    let route = |port| Action::Route { to: vec![Instance(port)] };
    let mut plan = (*plan_that(OnFailure::TakeBack, hosts, max_in_flight, 1, max_failures)).clone();
    for lane in &mut plan.waves[0].lanes {
        lane.steps = vec![
            step(route(4041), vec![route(4040)]),
            step(
                Action::Activate { release: Some(RELEASE.parse().unwrap()), instances: vec![] },
                vec![Action::Activate { release: None, instances: vec![] }],
            ),
            step(Action::Watch, vec![]),
        ];
    }
    let rest = plan.waves[0].lanes.split_off(canaries);
    let rest = Wave { lanes: rest, ..plan.waves[0].clone() };
    plan.waves.push(rest);
    Arc::new(plan)
}

/// What a command that waits for its answer was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Pending {
    Step(LaneRef, usize),
    Undo(LaneRef, String),
    Look,
}

impl Pending {
    /// What is waited for in the lane at `at`, if it is there.
    fn of(&self, at: LaneRef) -> Option<(usize, &str)> {
        match self {
            Self::Step(one, step) if *one == at => Some((*step, "")),
            Self::Undo(one, action) if *one == at => Some((usize::MAX, action)),
            _ => None,
        }
    }
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[derive(Debug, Clone)]
struct World {
    plan: Arc<Plan>,
    scheduler: Scheduler,
    pending: Vec<Pending>,
    /// Hosts that the balancers keep out.
    out: BTreeSet<HostName>,
    /// Hosts that have the release in their idle instances or live on it, and hosts that live on it.
    booted: BTreeSet<HostName>,
    flipped: BTreeSet<HostName>,
    ends: BTreeMap<LaneRef, LaneEnd>,
    opened: BTreeSet<LaneRef>,
    faults: usize,
    failed: usize,
    cancels: usize,
    looks: usize,
    finished: bool,
}

impl World {
    fn new(plan: Arc<Plan>) -> Self {
        let mut world = Self {
            scheduler: Scheduler::new(plan.clone()),
            plan,
            pending: vec![],
            out: BTreeSet::new(),
            booted: BTreeSet::new(),
            flipped: BTreeSet::new(),
            ends: BTreeMap::new(),
            opened: BTreeSet::new(),
            faults: 0,
            failed: 0,
            cancels: 0,
            looks: 0,
            finished: false,
        };
        world.tell(Fact::Begin);
        world
    }

    fn host(&self, at: LaneRef) -> HostName {
        self.plan.waves[at.wave].lanes[at.lane].host.clone()
    }

    fn view(&self) -> View {
        View { serving: self.plan.fleet.iter().filter(|host| !self.out.contains(*host)).cloned().collect() }
    }

    fn apply(&mut self, host: &HostName, action: &Action) {
        match action {
            Action::Drain => drop(self.out.insert(host.clone())),
            Action::Enable { .. } => drop(self.out.remove(host)),
            Action::Activate { .. }
                if self.plan.waves.iter().flat_map(|wave| &wave.lanes).any(Lane::takes_host_out) =>
            {
                assert!(self.out.contains(host), "{host} is restarted although it may have traffic");
            }
            Action::Activate { release: Some(_), .. } => drop(self.booted.insert(host.clone())),
            // The host itself looks where its nginx sends traffic, and stops nothing that gets any.
            Action::Stop { .. } if self.flipped.contains(host) => {}
            Action::Stop { .. } | Action::Activate { release: None, .. } => drop(self.booted.remove(host)),
            Action::Flip { to } if to[0] == Instance(5040) => drop(self.flipped.insert(host.clone())),
            Action::Flip { .. } => drop(self.flipped.remove(host)),
            _ => {}
        }
    }

    fn tell(&mut self, fact: Fact) {
        let budget_used = self.failed > self.plan.max_failures;
        for command in self.scheduler.on(fact) {
            assert!(!self.finished, "a command after the end: {command:?}");
            match command {
                Command::Perform { at, step } => {
                    if step == 0 {
                        assert!(!budget_used, "a lane opened although the failure budget was used up");
                        assert!(self.opened.insert(at), "a lane opened twice");
                    }
                    self.check_flip(at, step);
                    self.pending.push(Pending::Step(at, step));
                }
                Command::Undo { at, action, .. } => {
                    self.pending.push(Pending::Undo(at, serde_json::to_string(&action).unwrap()));
                }
                Command::Look { .. } => {
                    self.looks += 1;
                    self.pending.push(Pending::Look);
                }
                Command::CloseLane { at, end } => drop(self.ends.insert(at, end)),
                Command::Interrupt { at } => {
                    let place = self.pending.iter().position(|one| matches!(one, Pending::Step(one, _) if *one == at));
                    let place = place.expect("an interrupt for a step that does not run");
                    self.pending.remove(place);
                    let result = StepResult::Unknown(Failure::new("interrupted"));
                    self.tell(Fact::StepFinished { at, result });
                }
                Command::Finish => self.finished = true,
                Command::OpenWave { .. } | Command::Hold { .. } | Command::WatchGate { .. } => {}
            }
        }
        self.check();
    }

    /// Nobody flips before all hosts are healthy on the release, but for those that failed within the budget.
    fn check_flip(&self, at: LaneRef, step: usize) {
        if matches!(self.plan.waves[at.wave].lanes[at.lane].steps[step].action, Action::Flip { .. }) {
            let missing = self.plan.fleet.len() - self.booted.len();
            assert!(missing <= self.failed && self.failed <= self.plan.max_failures, "a host flipped too early");
        }
    }

    /// The promises, on the world.
    fn check(&self) {
        let wave = &self.plan.waves[0];
        let serving = self.plan.fleet.len() - self.out.len();
        assert!(serving >= wave.min_serving.unwrap(), "the floor is broken: {serving} serve\n{self:#?}");
        // A lane that waits for the others does nothing.
        let open = self.pending.iter().filter(|one| **one != Pending::Look).count();
        assert!(open <= wave.max_in_flight, "{open} lanes are open\n{self:#?}");
        if self.finished {
            // A look changes nothing, so nobody waits for it.
            let acts = self.pending.iter().any(|one| *one != Pending::Look);
            assert!(!acts, "the end, but something still runs");
            if self.plan.waves[0].on_failure == OnFailure::TakeBack && self.failed > self.plan.max_failures {
                // Only the floor may keep a host on the release: where too few serve because of a broken one.
                let kept = self.ends.values().any(|end| *end == LaneEnd::Done);
                let floor_in_the_way = serving <= wave.min_serving.unwrap();
                assert!(!kept || floor_in_the_way, "a host kept the release although all were to go back");
            }
            for host in &self.out {
                let broken =
                    self.ends.iter().any(|(at, end)| self.host(*at) == *host && matches!(end, LaneEnd::Broken { .. }));
                assert!(broken, "{host} was left out and nobody says so");
            }
        } else {
            assert!(!self.pending.is_empty(), "stuck: nothing runs and it is not over");
        }
    }

    /// All worlds that can come next.
    fn next(&self, most_faults: usize) -> Vec<Self> {
        let mut worlds = Vec::new();
        for (place, pending) in self.pending.iter().enumerate() {
            for (fault, effect) in
                [(None, true), (Some("failed"), false), (Some("unknown"), false), (Some("unknown"), true)]
            {
                // A look that is in vain is one, however that comes.
                let is_same = *pending == Pending::Look && fault == Some("unknown");
                if fault.is_some() && (self.faults == most_faults || is_same) {
                    continue;
                }
                let mut world = self.clone();
                world.pending.remove(place);
                world.answer(pending, fault, effect);
                worlds.push(world);
            }
        }
        if self.cancels == 0 && most_faults > 0 && !self.finished {
            for how in [Cancel::Finish, Cancel::Unwind] {
                let mut world = self.clone();
                world.cancels += 1;
                world.tell(Fact::CancelAsked { how });
                worlds.push(world);
            }
        }
        worlds
    }

    fn answer(&mut self, pending: &Pending, fault: Option<&str>, effect: bool) {
        let result = match fault {
            None => StepResult::Ok(String::new()),
            Some("failed") => StepResult::Failed(Failure::new("failed")),
            Some(_) => StepResult::Unknown(Failure::new("lost")),
        };
        self.faults += usize::from(fault.is_some());
        match pending {
            Pending::Look => {
                let view = if fault.is_some() { Err("no answer".to_owned()) } else { Ok(self.view()) };
                self.tell(Fact::Looked { view });
            }
            Pending::Step(at, step) => {
                let host = self.host(*at);
                let action = self.plan.waves[at.wave].lanes[at.lane].steps[*step].action.clone();
                if effect {
                    self.apply(&host, &action);
                }
                self.failed += usize::from(fault.is_some());
                self.tell(Fact::StepFinished { at: *at, result });
            }
            Pending::Undo(at, action) => {
                if effect {
                    self.apply(&self.host(*at).clone(), &serde_json::from_str(action).unwrap());
                }
                self.tell(Fact::UndoFinished { at: *at, result });
            }
        }
    }

    /// What makes two worlds the same. Looks that found nothing are told apart only up to a few: they change nothing else.
    ///
    /// Hosts that stand alike may change places: lanes of a wave have the same steps, those that wait are opened in order whoever
    /// they are, and so are those that are to meet or to go back. So a world is what stands how often, and not where.
    fn key(&self) -> u64 {
        let mut hosts: Vec<u64> = Vec::new();
        for (wave, planned) in self.plan.waves.iter().enumerate() {
            for (lane, planned) in planned.lanes.iter().enumerate() {
                let (at, host) = (LaneRef { wave, lane }, &planned.host);
                let pending: Vec<_> = self.pending.iter().filter_map(|one| one.of(at)).collect();
                let stands = [&self.out, &self.booted, &self.flipped].map(|hosts| hosts.contains(host));
                let end = self.ends.get(&at).map(|end| format!("{end:?}"));
                hosts.push(hash(&(wave, pending, stands, end, self.opened.contains(&at))));
            }
        }
        hosts.sort_unstable();
        let looks = self.pending.iter().filter(|one| **one == Pending::Look).count();
        hash(&(hosts, looks, self.faults, self.failed, self.cancels, self.finished))
    }
}

fn explore(plan: &Arc<Plan>, most_faults: usize) -> usize {
    explore_to(plan, most_faults, |_| ())
}

fn explore_to(plan: &Arc<Plan>, most_faults: usize, at_the_end: impl Fn(&World)) -> usize {
    let first = World::new(plan.clone());
    let mut seen = HashSet::from([first.key()]);
    let mut left = vec![first];
    let mut ends = 0;
    while let Some(world) = left.pop() {
        if world.finished {
            at_the_end(&world);
            ends += 1;
            continue;
        }
        // A deploy that waits for the floor looks again and again; following that to its end is the next test's.
        if world.looks > 12 + world.plan.fleet.len() {
            continue;
        }
        left.extend(world.next(most_faults).into_iter().filter(|world| seen.insert(world.key())));
    }
    assert!(ends > 0);
    seen.len()
}

#[test]
fn every_interleaving_keeps_the_floor_the_bound_and_the_budget() {
    for (hosts, in_flight, floor, failures, faults) in [
        (1, 1, 0, 0, 2),
        (2, 1, 1, 0, 3),
        (3, 2, 1, 0, 2),
        (3, 2, 1, 1, 2),
        (3, 3, 2, 2, 2),
        (4, 2, 2, 1, 2),
        (4, 4, 2, 1, 1),
        (6, 2, 4, 0, 2),
        (6, 6, 2, 2, 1),
        (6, 3, 3, 6, 2),
    ] {
        let states = explore(&plan(hosts, in_flight, floor, failures), faults);
        println!(
            "{hosts} hosts, {in_flight} in flight, floor {floor}, {failures} failures allowed, {faults} faults: {states} states"
        );
    }
}

#[test]
fn when_all_go_back_together_nobody_stays_behind_and_the_floor_holds() {
    for (hosts, in_flight, floor, faults) in [(2, 1, 1, 2), (3, 2, 1, 2), (4, 2, 2, 1), (6, 6, 2, 1)] {
        let states = explore(&plan_that(OnFailure::TakeBack, hosts, in_flight, floor, 0), faults);
        println!("{hosts} hosts, {in_flight} in flight, floor {floor}, {faults} faults: {states} states");
    }
}

#[test]
fn canaries_go_back_with_the_others() {
    for (hosts, canaries, in_flight, failures, faults) in [
        (2, 1, 1, 0, 3),
        (3, 1, 2, 0, 2),
        (3, 2, 1, 1, 2),
        (4, 1, 3, 0, 2),
        (4, 2, 2, 1, 2),
        (6, 2, 4, 0, 1),
        (6, 1, 5, 0, 1),
    ] {
        let states = explore_to(&hotswap(hosts, canaries, in_flight, failures), faults, |world| {
            let broken = world.ends.values().any(|end| matches!(end, LaneEnd::Broken { .. }));
            let stopped = world.scheduler.cancelled() && world.failed <= failures;
            let one = world.booted.is_empty() || world.booted.len() + world.failed >= hosts;
            assert!(broken || stopped || one, "the fleet ends on two releases\n{world:#?}");
        });
        println!("{hosts} hosts, {canaries} canaries, {in_flight} in flight, {faults} faults: {states} states");
    }
}

#[test]
fn either_all_hosts_flip_or_none_and_a_lane_that_waits_never_stays_behind() {
    for (hosts, in_flight, failures, faults) in
        [(1, 1, 0, 2), (2, 1, 0, 2), (3, 3, 0, 2), (3, 2, 1, 2), (4, 2, 0, 1), (6, 6, 0, 1), (6, 3, 1, 1)]
    {
        let plan = preboot(hosts, in_flight, failures);
        let states = explore_to(&plan, faults, |world| {
            let broken = world.ends.values().any(|end| matches!(end, LaneEnd::Broken { .. }));
            assert!(broken || world.booted == world.flipped, "a release was left in idle instances\n{world:#?}");
            let all = world.flipped.len() + world.failed >= hosts;
            let none = world.flipped.is_empty();
            assert!(broken || all || none, "some hosts flipped and some did not\n{world:#?}");
        });
        println!("{hosts} hosts, {in_flight} in flight, {failures} failures allowed, {faults} faults: {states} states");
    }
}

#[test]
fn a_floor_that_never_recovers_ends_the_deploy() {
    let mut world = World::new(plan(3, 1, 3, 0));
    while !world.finished {
        assert_eq!(world.pending, [Pending::Look]);
        world.pending.clear();
        world.answer(&Pending::Look, None, true);
    }
    assert!(world.opened.is_empty());
    assert!(world.scheduler.reason().unwrap().contains("min-serving"));
}

#[test]
fn nobody_is_taken_out_on_a_view_that_could_not_be_had() {
    let mut world = World::new(plan(2, 1, 1, 0));
    world.pending.clear();
    world.tell(Fact::Looked { view: Err("no answer".to_owned()) });
    assert!(world.opened.is_empty());
}

#[test]
fn whoever_cancels_when_every_host_is_about_to_be_through_gets_them_confirmed() {
    let mut plan = (*plan(2, 2, 0, 0)).clone();
    let tidy = |lane: &Lane| Lane { host: lane.host.clone(), steps: lane.steps[1..2].to_vec() };
    let lanes = plan.waves[0].lanes.iter().map(tidy).collect();
    plan.waves.push(Wave { name: "confirm".to_owned(), phase: Phase::Finish, lanes, ..plan.waves[0].clone() });
    let mut scheduler = Scheduler::new(Arc::new(plan));
    let mut commands = scheduler.on(Fact::Begin);
    while let Some(command) = commands.pop() {
        if let Command::Perform { at, step } = command {
            if step == 2 {
                commands.extend(scheduler.on(Fact::CancelAsked { how: Cancel::Finish }));
            }
            commands.extend(scheduler.on(Fact::StepFinished { at, result: StepResult::Ok(String::new()) }));
        }
    }
    assert!(scheduler.ends().all(|(_, end)| end == LaneEnd::Done), "{:?}", scheduler.ends().collect::<Vec<_>>());
}

#[test]
fn balancers_that_can_not_be_looked_at_end_the_deploy_after_a_few_looks() {
    let mut world = World::new(plan(2, 1, 1, 0));
    while !world.finished {
        world.pending.clear();
        world.tell(Fact::Looked { view: Err("no answer".to_owned()) });
    }
    assert!(world.opened.is_empty() && world.looks < 20, "{} looks", world.looks);
    assert!(world.scheduler.reason().unwrap().contains("no answer"));
}
