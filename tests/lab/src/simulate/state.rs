//! The simulated fleet as it is at one moment: hosts, what runs on them, balancers, guards, and the runs that act on them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shipit::model::{HostName, Instance, Release, ReleaseId, ServerState};
use shipit::remote::Undo;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::fault::{Counts, Fault};
use super::fleet::Later;
use super::guard::Judged;
use super::random::Random;
use super::sabotage::Sabotage;
use super::setup::Setup;
use super::trace::Trace;

/// A run of shipit, by its number.
pub(super) type Run = usize;

/// Everything.
pub(super) struct State {
    pub setup: Setup,
    pub began: Instant,
    pub now: Instant,
    pub random: Random,
    /// Nothing goes wrong any more.
    pub is_calm: bool,
    pub trace: Trace,
    pub counts: Counts,
    pub violations: Vec<String>,
    /// First the app's hosts, then the balancers'.
    pub stations: Vec<Station>,
    pub hosts: Vec<Host>,
    pub balancers: Vec<Haproxy>,
    pub runs: Vec<RunState>,
    pub qualities: BTreeMap<ReleaseId, Vec<Quality>>,
    pub later: Vec<Later>,
    /// Numbers that nobody else has: of guards, processes and changes of mind of a check.
    pub numbers: u64,
    /// How far the wall clock of the runner is off, in seconds.
    pub clock: i64,
    pub deploys: u64,
    /// Waves that went over to a release which was still warm.
    pub flips_back: u64,
    /// The release that the whole fleet last ran, confirmed on every host.
    pub settled: Option<Release>,
}

/// A machine that has a guard during a run.
pub(super) struct Station {
    pub name: HostName,
    pub is_up: bool,
    /// How often it was switched on: what ran before that is gone.
    pub boot: u32,
    /// How many reasons there are that it can't be reached, and since when there is one.
    pub cuts: u32,
    pub cut_since: Instant,
    pub guard: Option<Guard>,
    /// Steps that run on it.
    pub steps: u32,
    /// The run that held the lock last.
    pub owner: Run,
}

/// What holds the lock on a station.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    pub run: Run,
    pub number: u64,
    /// It takes back what the run has done: from now on the run may do nothing here.
    pub is_acting: bool,
}

/// A host of the app.
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
pub(super) struct Host {
    pub disk_is_full: bool,
    pub releases: BTreeMap<ReleaseId, Stored>,
    pub current: Option<ReleaseId>,
    pub confirmed: Vec<ReleaseId>,
    /// The recipe's instances in its order, the second set after the first.
    pub apps: Vec<App>,
    /// The instances that nginx sends traffic to.
    pub routed: Vec<bool>,
    /// What the guard was told.
    pub undo: BTreeMap<usize, Undo>,
    /// What a process of the host's own, which is to stop instances later, wants to find here to go on.
    pub retire: Option<Retire>,
    /// A script that changes the host runs: others wait for it.
    pub is_taken: bool,
    pub serves: bool,
    /// When it last left service by nobody's deed of ours.
    pub lost_at: Option<Instant>,
    /// A drain or an enabling is under way.
    pub is_moving: bool,
    /// What its guard saw before it began to take back what it restarts.
    pub judged: Option<Judged>,
}

/// What such a process goes by.
#[derive(Debug, Clone)]
pub(super) struct Retire {
    pub token: u64,
    pub instances: Vec<Instance>,
}

/// A release's directory.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub release: Release,
    /// All its files are there.
    pub is_whole: bool,
    /// It says so itself.
    pub is_sealed: bool,
}

/// One process of the app.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
pub(super) struct App {
    pub release: Option<ReleaseId>,
    /// It was stopped on purpose, or never started: nobody starts it but shipit.
    pub is_stopped: bool,
    pub is_healthy: bool,
    /// That it is not healthy is shipit's doing.
    pub by_shipit: bool,
    pub number: u64,
    /// The last request that it was given ends then.
    pub busy_until: Instant,
    /// Users reach it.
    pub has_traffic: bool,
}

/// How a release behaves on one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    Good,
    WontBoot,
    Unhealthy,
    Faulty,
    BootsLate,
    /// There is no release at all.
    Nothing,
}

impl Quality {
    /// The fault that a release of this quality is.
    pub(super) fn fault(self) -> Option<Fault> {
        match self {
            Self::Good | Self::Nothing => None,
            Self::WontBoot => Some(Fault::WontBoot),
            Self::Unhealthy => Some(Fault::Unhealthy),
            Self::Faulty => Some(Fault::Faulty),
            Self::BootsLate => Some(Fault::BootsLate),
        }
    }
}

/// haproxy on one balancer's host.
pub(super) struct Haproxy {
    pub pid: u32,
    /// One for each host.
    pub servers: Vec<Server>,
    /// The servers that the guard is to make ready again. On disk, so they outlive it.
    pub notes: BTreeSet<usize>,
}

/// One server of haproxy.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub state: ServerState,
    pub is_up: bool,
    /// The number of the change that its checks are about to make.
    pub turning: Option<u64>,
    pub drained_by: Option<Drainer>,
    /// It takes traffic that a reload by somebody else has sent it.
    pub is_excused: bool,
}

/// Who took a server out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drainer {
    Run(Run),
    Somebody,
}

/// What the outside observer knows of a run.
#[derive(Default)]
pub(super) struct RunState {
    pub is_over: bool,
    /// Hosts of which it said that they could not be put back.
    pub not_put_back: BTreeSet<usize>,
    pub kill: Option<oneshot::Sender<()>>,
    /// Points that were passed, and the one at which the runner is killed.
    pub points: u32,
    pub killed_at: Option<u32>,
    /// Things that it has changed.
    pub effects: u64,
    pub looked: Option<Instant>,
    /// When the look was that let a host be taken out.
    pub opened_on: BTreeMap<usize, Instant>,
    /// Hosts on which a step failed, and when.
    pub failed: BTreeMap<usize, Instant>,
    /// Hosts whose traffic or app it has begun to change.
    pub touched: BTreeSet<usize>,
    /// Hosts that it has taken out of the balancers.
    pub drained: BTreeSet<usize>,
    /// What `current` named on each host when the run came.
    pub found: BTreeMap<usize, Option<ReleaseId>>,
    /// Hosts whose guard was told to forget while it could not be reached.
    pub to_forget: BTreeSet<usize>,
    /// Hosts that were confirmed.
    pub confirmed: BTreeSet<usize>,
    /// Hosts that are to flip together, if at all.
    pub together: Vec<BTreeSet<usize>>,
    /// Hosts that were healthy on the release.
    pub healthy: BTreeSet<usize>,
    /// Things that were taken back, and the one after which the runner is killed.
    pub backs: u32,
    pub killed_back: Option<u32>,
}

impl State {
    /// Notes what happened.
    pub(super) fn say(&mut self, tag: &str, place: usize, words: impl FnOnce() -> String) {
        let at = self.now - self.began;
        self.trace.say(at, tag, place, words);
    }

    /// A promise is broken.
    pub(super) fn broken(&mut self, words: String) {
        self.say("violation", self.violations.len(), || format!("*** {words}"));
        self.violations.push(words);
    }

    /// A fault has really happened.
    pub(super) fn fired(&mut self, fault: Fault, place: usize, words: impl FnOnce() -> String) {
        self.counts.add(fault);
        self.say("fault", place, || format!("!!! {fault}: {}", words()));
    }

    /// Whether a fault happens now that does so in `permille` of the cases, where it may happen at all.
    pub(super) fn strikes(&mut self, fault: Fault, permille: u64) -> bool {
        !self.is_calm && self.setup.swarm.has(fault) && self.random.chance(permille)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Does `what` after a while.
    pub(super) fn later(
        &mut self,
        after: Duration,
        what: impl FnOnce(&std::sync::Arc<super::fleet::Fleet>) + Send + 'static,
    ) {
        self.later.push(Later { after, what: Box::new(what) });
    }

    pub(super) fn sabotaged(&self, by: Sabotage) -> bool {
        self.setup.sabotage == Some(by)
    }

    /// The station of a balancer.
    pub(super) fn balancer_station(&self, balancer: usize) -> usize {
        self.hosts.len() + balancer
    }

    pub(super) fn name(&self, station: usize) -> String {
        self.stations[station].name.to_string()
    }

    pub(super) fn reaches(&self, station: usize) -> bool {
        let station = &self.stations[station];
        station.is_up && station.cuts == 0
    }

    pub(super) fn quality(&self, host: usize, release: &ReleaseId) -> Quality {
        self.qualities.get(release).map_or(Quality::Good, |of| of[host])
    }

    /// Whether the host's instances run `release` and are well.
    pub(super) fn runs_well(&self, host: usize, release: &ReleaseId, instances: impl Iterator<Item = usize>) -> bool {
        let apps = &self.hosts[host].apps;
        let mut instances = instances;
        instances.all(|one| apps[one].is_healthy && apps[one].release.as_ref() == Some(release))
    }
}
