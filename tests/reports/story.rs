//! Runs to report on: the real scheduler over hosts that do as they are told, in made-up time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use shipit::engine::{
    Aftermath, Cancel, Command, Event, Fact, Failure, LaneEnd, LaneRef, Outcome, Scheduler, Stamped, StepResult,
};
use shipit::model::{HostName, Instance, Release, ReleaseId, StrategyName, Until, View};
use shipit::plan::{Action, Gate, Lane, Phase, Plan, Step, Wave};

pub const OLD: &str = "20261119-101500-0c0ffee0";
pub const NEW: &str = "20261120-224512-1a2b3c4d";

const ENABLE: Action = Action::Enable { until: Until::Up };

/// Says how an action goes other than well: its result, and how long it takes.
pub type Fault = Box<dyn Fn(&str, &Action, bool) -> Option<(StepResult, f64)>>;

/// A run to be.
pub struct Story {
    pub plan: Plan,
    pub cancel: Option<(f64, Cancel)>,
    pub gate: StepResult,
    /// Hosts that do not serve at first, and when they begin to.
    pub late: BTreeMap<HostName, f64>,
    /// Why a balancer can't be asked in the end.
    pub unseen: Option<String>,
    pub fault: Fault,
}

pub fn host(number: usize) -> HostName {
    format!("web{number}").parse().unwrap()
}

pub fn id(text: &str) -> ReleaseId {
    text.parse().unwrap()
}

pub fn release() -> Release {
    Release {
        id: id(NEW),
        fingerprint: "1a2b3c4d".repeat(5).parse().unwrap(),
        origin: "main of https://git.example.com/acme/web.git".to_owned(),
    }
}

/// A rolling deploy of `hosts` hosts.
pub fn plan(hosts: usize, canaries: usize, max_in_flight: usize, floor: usize) -> Plan {
    let fleet: Vec<HostName> = (1..=hosts).map(host).collect();
    let step = |action, undo, seconds| Step { action, undo, timeout: Duration::from_secs(seconds) };
    let lane = |host: &HostName, steps: &[Step]| Lane { host: host.clone(), steps: steps.to_vec() };
    let wave = |name: &str, phase, max_in_flight, hosts: &[HostName], steps: &[Step]| Wave {
        on_failure: shipit::plan::OnFailure::Keep,
        name: name.to_owned(),
        phase,
        max_in_flight,
        min_serving: (phase == Phase::Switch).then_some(floor),
        gate: Gate::Open,
        lanes: hosts.iter().map(|host| lane(host, steps)).collect(),
    };
    let instances = vec![Instance(4040), Instance(4041)];
    let prepare = [
        step(Action::Upload { release: release() }, vec![], 600),
        step(Action::Stage { release: release() }, vec![], 300),
    ];
    let migrate = [step(Action::Task { name: "migrate".parse().unwrap(), release: id(NEW) }, vec![], 600)];
    let activate = |release| Action::Activate { release: Some(id(release)), instances: instances.clone() };
    let health = |release| Action::Health { release: Some(id(release)), instances: instances.clone() };
    let switch = [
        step(Action::Drain, vec![ENABLE], 35),
        step(activate(NEW), vec![activate(OLD), health(OLD)], 90),
        step(health(NEW), vec![], 65),
        step(Action::Warm { release: id(NEW), instances: instances.clone() }, vec![], 30),
        step(ENABLE, vec![Action::Drain], 30),
        step(Action::Watch, vec![], 10),
    ];
    let finish = [step(
        Action::Confirm { release: release(), keep: 5, replaces: vec![], instances: instances.clone() },
        vec![],
        60,
    )];
    let mut waves = vec![
        wave("prepare", Phase::Prepare, 50, &fleet, &prepare),
        wave("migrate", Phase::Task, 1, &fleet[..1], &migrate),
    ];
    if canaries > 0 {
        let canary = wave("canary", Phase::Switch, canaries, &fleet[..canaries], &switch);
        waves.push(Wave { gate: Gate::Bake(Duration::from_mins(2)), ..canary });
    }
    waves.push(wave("rolling", Phase::Switch, max_in_flight, &fleet[canaries..], &switch));
    waves.push(wave("finish", Phase::Finish, 50, &fleet, &finish));
    Plan {
        verb: shipit::model::Verb::Deploy,
        skipped: vec![],
        environment: "production".parse().unwrap(),
        recipe: "web".parse().unwrap(),
        strategy: StrategyName::Rolling,
        release: release(),
        replaces: vec![id(OLD)],
        fleet,
        max_failures: 0,
        waves,
    }
}

/// A hot-swap of `hosts` hosts.
pub fn hotswap(hosts: usize) -> Plan {
    let mut plan = plan(hosts, 0, hosts, hosts / 2);
    let [one, other] = [Instance(4040), Instance(4041)];
    let step = |action, undo, seconds| Step { action, undo, timeout: Duration::from_secs(seconds) };
    let route = |to: &[Instance], before: &[Instance]| {
        step(Action::Route { to: to.to_vec() }, vec![Action::Route { to: before.to_vec() }], 60)
    };
    let renew = |instance: Instance| {
        let instances = vec![instance];
        let activate = |release| Action::Activate { release: Some(id(release)), instances: instances.clone() };
        let health = |release| Action::Health { release: Some(id(release)), instances: instances.clone() };
        [
            step(activate(NEW), vec![activate(OLD), health(OLD)], 90),
            step(health(NEW), vec![], 65),
            step(Action::Warm { release: id(NEW), instances: instances.clone() }, vec![], 30),
        ]
    };
    let mut steps = vec![route(&[other], &[one, other])];
    steps.extend(renew(one));
    steps.push(route(&[one], &[other]));
    steps.extend(renew(other));
    steps.extend([route(&[one, other], &[one]), step(Action::Watch, vec![], 10)]);
    plan.strategy = StrategyName::Hotswap;
    plan.waves.retain(|wave| wave.name != "migrate");
    for wave in plan.waves.iter_mut().filter(|wave| wave.phase == Phase::Switch) {
        "hotswap".clone_into(&mut wave.name);
        wave.on_failure = shipit::plan::OnFailure::TakeBack;
        wave.lanes.iter_mut().for_each(|lane| lane.steps.clone_from(&steps));
    }
    plan
}

/// The same by preboot: what the hosts flip to boots beside what they run, and none flips before all have booted.
pub fn preboot(hosts: usize) -> Plan {
    let mut plan = hotswap(hosts);
    let (old, new) = (vec![Instance(4040), Instance(4041)], vec![Instance(5040), Instance(5041)]);
    let step = |action, undo, seconds| Step { action, undo, timeout: Duration::from_secs(seconds) };
    let undone = Action::Stop { instances: new.clone(), after: Duration::ZERO };
    let activate = Action::Activate { release: Some(id(NEW)), instances: new.clone() };
    let steps = [
        step(activate, vec![undone], 90),
        step(Action::Health { release: Some(id(NEW)), instances: new.clone() }, vec![], 65),
        step(Action::Meet, vec![], 0),
        step(Action::Flip { to: new }, vec![Action::Flip { to: old }], 60),
    ];
    plan.strategy = StrategyName::Preboot;
    for wave in plan.waves.iter_mut().filter(|wave| wave.phase == Phase::Switch) {
        "preboot".clone_into(&mut wave.name);
        wave.lanes.iter_mut().for_each(|lane| lane.steps = steps.to_vec());
    }
    plan
}

impl Story {
    pub fn new(plan: Plan) -> Self {
        let gate = StepResult::Ok("0 errors in 4,310 requests".to_owned());
        Self { plan, cancel: None, gate, late: BTreeMap::new(), unseen: None, fault: Box::new(|_, _, _| None) }
    }

    pub fn with_fault(mut self, fault: impl Fn(&str, &Action, bool) -> Option<(StepResult, f64)> + 'static) -> Self {
        self.fault = Box::new(fault);
        self
    }

    /// All that happens, in order.
    pub fn tell(self) -> Vec<Stamped> {
        let plan = Arc::new(self.plan.clone());
        let mut world = World {
            scheduler: Scheduler::new(Arc::clone(&plan)),
            out: BTreeSet::new(),
            coming: Vec::new(),
            told: Vec::new(),
            doing: BTreeMap::new(),
            story: self,
            over: false,
        };
        let planned = Event::Planned { run: "20261120T2245-9f3c".to_owned(), plan: (*plan).clone() };
        world.told.push(Stamped { elapsed: 0.0, event: planned });
        world.hear(0.1, Fact::Begin);
        if let Some((at, how)) = world.story.cancel {
            world.coming.push((at, Event::Fact(Fact::CancelAsked { how })));
        }
        while !world.over {
            let next = (0..world.coming.len()).min_by(|a, b| world.coming[*a].0.total_cmp(&world.coming[*b].0));
            let (at, event) = world.coming.remove(next.expect("the deploy stands still"));
            match event {
                Event::Fact(fact) => world.hear(at, fact),
                event => world.told.push(Stamped { elapsed: at, event }),
            }
        }
        world.told
    }
}

struct World {
    scheduler: Scheduler,
    story: Story,
    out: BTreeSet<HostName>,
    doing: BTreeMap<LaneRef, Action>,
    coming: Vec<(f64, Event)>,
    told: Vec<Stamped>,
    over: bool,
}

impl World {
    fn hear(&mut self, now: f64, fact: Fact) {
        let fact = match fact {
            Fact::Looked { .. } => Fact::Looked { view: Ok(self.view(now)) },
            other => other,
        };
        if let Fact::StepFinished { at, result: StepResult::Ok(_) }
        | Fact::UndoFinished { at, result: StepResult::Ok(_) } = &fact
            && self.doing.get(at) == Some(&ENABLE)
        {
            self.out.remove(self.host(*at).as_str());
        }
        self.told.push(Stamped { elapsed: now, event: Event::Fact(fact.clone()) });
        for command in self.scheduler.on(fact) {
            self.told.push(Stamped { elapsed: now, event: Event::Command(command.clone()) });
            self.obey(now, command);
        }
    }

    fn obey(&mut self, now: f64, command: Command) {
        match command {
            Command::Perform { at, step } => {
                let action = self.story.plan.waves[at.wave].lanes[at.lane].steps[step].action.clone();
                let (result, took) = self.act(at, &action, false);
                self.coming.push((now + took, Event::Fact(Fact::StepFinished { at, result })));
                if took > 2.0 {
                    let text = said(&action, took).to_owned();
                    self.coming.push((now + took / 3.0, Event::Progress { at, text }));
                }
            }
            Command::Undo { at, action, .. } => {
                let (result, took) = self.act(at, &action, true);
                self.coming.push((now + took, Event::Fact(Fact::UndoFinished { at, result })));
            }
            Command::Look { after } => {
                let view = Ok(View::default());
                self.coming.push((now + after.as_secs_f64() + 0.04, Event::Fact(Fact::Looked { view })));
            }
            Command::WatchGate { wave, duration } => {
                let result = self.story.gate.clone();
                let took = if matches!(result, StepResult::Ok(_)) { duration.as_secs_f64() } else { 48.2 };
                self.coming.push((now + took, Event::Fact(Fact::GateClosed { wave, result })));
            }
            Command::Interrupt { at } => {
                for (time, event) in &mut self.coming {
                    if let Event::Fact(Fact::StepFinished { at: theirs, result }) = event
                        && *theirs == at
                    {
                        (*time, *result) = (now + 0.3, StepResult::Unknown(Failure::new("interrupted")));
                    }
                }
            }
            Command::Finish => {
                let outcome = self.outcome(now);
                self.told.push(Stamped { elapsed: now, event: Event::Finished { outcome } });
                self.over = true;
            }
            Command::OpenWave { .. } | Command::CloseLane { .. } | Command::Hold { .. } => {}
        }
    }

    fn act(&mut self, at: LaneRef, action: &Action, undo: bool) -> (StepResult, f64) {
        let host = self.host(at);
        if *action == Action::Drain {
            self.out.insert(host.clone());
        }
        self.doing.insert(at, action.clone());
        (self.story.fault)(host.as_str(), action, undo).unwrap_or_else(|| goes_well(action, at.lane))
    }

    fn host(&self, at: LaneRef) -> HostName {
        self.story.plan.waves[at.wave].lanes[at.lane].host.clone()
    }

    fn view(&self, now: f64) -> View {
        let late = |host: &HostName| self.story.late.get(host).is_some_and(|from| now < *from);
        let serving = self.story.plan.fleet.iter().filter(|host| !self.out.contains(*host) && !late(host));
        View { serving: serving.cloned().collect() }
    }

    fn outcome(&self, now: f64) -> Outcome {
        let plan = &self.story.plan;
        let before = || plan.replaces.first().cloned();
        let mut running: BTreeMap<_, _> = plan.fleet.iter().map(|host| (host.clone(), before())).collect();
        for (at, end) in self.scheduler.ends() {
            let lane = &plan.waves[at.wave].lanes[at.lane];
            match end {
                LaneEnd::Done if plan.waves[at.wave].phase == Phase::Switch => {
                    running.insert(self.host(at), Some(id(NEW)));
                }
                _ if end.leaves_app(lane) => {
                    running.insert(self.host(at), Some(id(NEW)));
                }
                LaneEnd::Broken { .. } => {
                    running.insert(self.host(at), None);
                }
                LaneEnd::Done | LaneEnd::Restored { .. } | LaneEnd::TakenBack | LaneEnd::Untouched => {}
            }
        }
        let served = self.view(0.0).serving;
        let unseen = self.story.unseen.clone();
        let after = Aftermath { served, serving: self.view(now).serving, running, partly: BTreeSet::new(), unseen };
        Outcome::judge(plan, &self.scheduler, &plan.fleet, &after)
    }
}

fn goes_well(action: &Action, lane: usize) -> (StepResult, f64) {
    #[expect(clippy::cast_precision_loss, reason = "below ten")]
    let more = (lane * 7 % 10) as f64 / 10.0;
    let (words, took) = match action {
        Action::Upload { .. } => ("12.3 MB", 1.2 + more),
        Action::Stage { .. } => ("412 files", 0.9 + more / 2.0),
        Action::Task { .. } => ("exit 0", 4.2),
        Action::Drain => ("last request gone", 3.1 + 2.0 * more),
        Action::Enable { .. } => ("UP on lb1, lb2", 1.1),
        Action::Activate { .. } => ("2 instances", 4.0 + more),
        Action::Health { .. } => ("200 in 38ms, 2 of 2", 2.1),
        Action::Warm { .. } => ("10 requests, slowest 212ms", 1.3),
        Action::Route { .. } => ("drained in 0.3s", 0.6),
        Action::Watch => ("0 errors in 240 requests", 5.0),
        Action::Flip { .. } => ("applied in 0.4s", 0.5 + more / 4.0),
        Action::Meet | Action::Clear { .. } | Action::Stop { .. } => ("", 0.3),
        Action::Confirm { .. } => ("1 release pruned", 0.4 + more / 4.0),
    };
    (StepResult::Ok(words.to_owned()), took)
}

fn said(action: &Action, took: f64) -> &'static str {
    match action {
        Action::Drain => "3 requests in flight, 12s left",
        Action::Health { .. } if took > 10.0 => "try 4: 503 Service Unavailable",
        Action::Health { .. } => "try 2: connection refused",
        Action::Upload { .. } => "6.1 of 12.3 MB",
        _ => "",
    }
}
