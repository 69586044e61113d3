//! One simulation from its beginning to its end: a deploy that faults may happen to, what somebody does after it, and at last a deploy
//! with which nothing goes wrong any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shipit::engine::Cancel;
use shipit::model::{Fingerprint, Release, ReleaseId, ServerState};
use tokio::time::Instant;

use super::chaos;
use super::deploy::{Exit, Order, deploy};
use super::fault::{Counts, Fault};
use super::fleet::Fleet;
use super::random::Random;
use super::setup::{After, Setup};
use super::state::{App, Haproxy, Host, Quality, Server, State, Station, Stored};
use super::trace::Trace;

/// What came of one simulation.
pub(super) struct Told {
    pub violations: Vec<String>,
    pub counts: Counts,
    pub deploys: u64,
    pub flips_back: u64,
    pub exits: Vec<Exit>,
    pub fingerprint: u64,
    pub lines: Vec<String>,
    /// The points of the first run.
    pub points: u32,
}

/// Plays one simulation, on a clock that jumps from one event to the next.
pub(super) fn play(setup: Setup, with_lines: bool) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let Ok(runtime) = runtime else { unreachable!("a runtime without sockets can always be had") };
    runtime.block_on(async {
        let fleet = Fleet::of(setup.clone(), State::of(setup, with_lines));
        let exits = tell(&fleet).await;
        fleet.with(|state| Told {
            violations: std::mem::take(&mut state.violations),
            counts: state.counts,
            deploys: state.deploys,
            flips_back: state.flips_back,
            exits,
            fingerprint: state.trace.fingerprint(),
            points: state.runs[0].points,
            lines: std::mem::replace(&mut state.trace, Trace::new(false)).into_lines(),
        })
    })
}

async fn tell(fleet: &Arc<Fleet>) -> Vec<Exit> {
    chaos::begin(fleet);
    let before = fleet.with(|state| state.settled.clone());
    let release = fleet.with(State::release);
    let first = async {
        let cancels = fleet.with(State::cancels);
        let Setup { killed_at, killed_back, .. } = fleet.setup;
        deploy(fleet, Order { release: release.clone(), killed_at, killed_back, cancels }).await
    };
    let (exit, second) = tokio::join!(first, second(fleet));
    let mut exits: Vec<Exit> = [exit].into_iter().chain(second).collect();
    // By then the guards of a run that was killed are done, and the observer has looked.
    let is_soon = fleet.setup.recipe.preboot.is_some() && !exits.contains(&Exit::Killed);
    fleet.pause(if is_soon { 1000 } else { 40_000 }, 40_000).await;
    if let Some(order) = order(fleet, fleet.setup.after, &release, before.as_ref()) {
        exits.push(deploy(fleet, order).await);
        tokio::time::sleep(Duration::from_secs(40)).await;
    }
    fleet.with(State::mend);
    tokio::time::sleep(Duration::from_mins(3)).await;
    if let Some(order) = order(fleet, fleet.setup.last, &release, before.as_ref()) {
        let target = order.release.id.clone();
        let mut exit = deploy(fleet, order).await;
        let is_warm = exit == Exit::Run(shipit::engine::End::Done);
        if exit == Exit::Nothing {
            exit = Exit::Run(shipit::engine::End::Done);
        }
        fleet.with(|state| state.check_calm(&exit, &target));
        exits.push(exit);
        if let Some(preboot) = fleet.setup.recipe.preboot.as_ref().filter(|_| is_warm) {
            tokio::time::sleep(preboot.keep_warm + Duration::from_mins(2)).await;
            fleet.with(State::check_cold);
        }
    }
    exits
}

/// A deploy by somebody else, begun at any moment.
async fn second(fleet: &Arc<Fleet>) -> Option<Exit> {
    if !fleet.setup.swarm.has(Fault::SecondDeploy) {
        return None;
    }
    fleet.pause(0, 60_000).await;
    let release = fleet.with(|state| {
        state.fired(Fault::SecondDeploy, 0, String::new);
        state.release()
    });
    Some(deploy(fleet, Order { release, killed_at: None, killed_back: None, cancels: Vec::new() }).await)
}

/// What somebody asks for after `release`.
fn order(fleet: &Arc<Fleet>, after: After, release: &Release, before: Option<&Release>) -> Option<Order> {
    let release = fleet.with(|state| {
        let is_good = state.qualities[&release.id].iter().all(|quality| *quality == Quality::Good);
        match (after, before) {
            (After::Nothing, _) => None,
            (After::Rollback, Some(before)) if state.is_on_all(before) => Some(before.clone()),
            (After::Resume, _) if (is_good || !state.is_calm) && !state.is_on_some(release) => Some(release.clone()),
            _ => Some(state.release()),
        }
    })?;
    Some(Order { release, killed_at: None, killed_back: None, cancels: Vec::new() })
}

impl State {
    /// The fleet as `setup` has it.
    pub(super) fn of(setup: Setup, with_lines: bool) -> Self {
        let now = Instant::now();
        let mut state = Self {
            began: now,
            now,
            random: Random::of(setup.seed.wrapping_add(1) << 1),
            is_calm: false,
            trace: Trace::new(with_lines),
            counts: Counts::default(),
            violations: Vec::new(),
            stations: Vec::new(),
            hosts: Vec::new(),
            balancers: Vec::new(),
            runs: Vec::new(),
            qualities: BTreeMap::new(),
            later: Vec::new(),
            numbers: 0,
            clock: 0,
            deploys: 0,
            flips_back: 0,
            settled: None,
            setup,
        };
        state.stations = state
            .setup
            .inventory
            .hosts
            .iter()
            .map(|host| Station {
                name: host.name.clone(),
                is_up: true,
                boot: 0,
                cuts: 0,
                cut_since: now,
                guard: None,
                steps: 0,
                owner: 0,
            })
            .collect();
        let old: Vec<Release> = if state.setup.is_first { Vec::new() } else { (0..4).map(|_| state.good()).collect() };
        state.hosts = (0..state.setup.hosts).map(|_| state.host(&old)).collect();
        let server = Server {
            state: ServerState::Ready,
            is_up: !state.setup.is_first,
            turning: None,
            drained_by: None,
            is_excused: false,
        };
        let servers = vec![server; state.setup.hosts];
        let haproxy = || Haproxy { pid: 1, servers: servers.clone(), notes: std::collections::BTreeSet::new() };
        state.balancers = (0..state.setup.balancers).map(|_| haproxy()).collect();
        state.settled = old.last().cloned();
        state.settle();
        state
    }

    fn host(&self, old: &[Release]) -> Host {
        let current = old.last().map(|release| release.id.clone());
        let app = App {
            release: current.clone(),
            is_stopped: false,
            is_healthy: current.is_some(),
            by_shipit: false,
            number: 0,
            busy_until: self.now,
            has_traffic: false,
        };
        let stored = |release: &Release| Stored { release: release.clone(), is_whole: true, is_sealed: true };
        let never = App { release: None, is_stopped: true, is_healthy: false, by_shipit: true, ..app.clone() };
        let first = self.setup.recipe.app.instances.len();
        let all = self.setup.recipe.instances().len();
        Host {
            disk_is_full: false,
            releases: old.iter().map(|release| (release.id.clone(), stored(release))).collect(),
            current,
            confirmed: old.iter().map(|release| release.id.clone()).collect(),
            apps: (0..all).map(|place| if place < first { app.clone() } else { never.clone() }).collect(),
            routed: (0..all).map(|place| place < first).collect(),
            retire: None,
            undo: BTreeMap::new(),
            is_taken: false,
            serves: false,
            lost_at: None,
            is_moving: false,
            judged: None,
        }
    }

    /// A new release. Its id is what the runner's wall clock says.
    fn release(&mut self) -> Release {
        let release = self.good();
        let hosts = self.hosts.len();
        let of: Vec<Quality> = (0..hosts).map(|_| self.draw_quality()).collect();
        self.qualities.insert(release.id.clone(), of);
        release
    }

    pub(super) fn good(&mut self) -> Release {
        let number = self.number();
        let seconds = 43_200 + self.clock + i64::try_from(number).unwrap_or_default() * 20;
        let (day, second) = (20 + seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let stamp = format!("202611{day:02}-{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60);
        let fingerprint: Fingerprint = parsed(&format!("{number:08x}").repeat(5));
        let Ok(id) = ReleaseId::new(&stamp, &fingerprint) else { unreachable!("{stamp} is a stamp") };
        Release { id, fingerprint, origin: "main".to_owned() }
    }

    fn draw_quality(&mut self) -> Quality {
        for (fault, quality) in [
            (Fault::WontBoot, Quality::WontBoot),
            (Fault::Unhealthy, Quality::Unhealthy),
            (Fault::Faulty, Quality::Faulty),
            (Fault::BootsLate, Quality::BootsLate),
        ] {
            if self.strikes(fault, 300) {
                return quality;
            }
        }
        Quality::Good
    }

    /// When somebody asks for an end of the first deploy.
    fn cancels(&mut self) -> Vec<(Duration, Cancel)> {
        let mut cancels = Vec::new();
        for (fault, how) in [(Fault::CancelFinish, Cancel::Finish), (Fault::CancelUnwind, Cancel::Unwind)] {
            if self.setup.swarm.has(fault) {
                cancels.push((self.random.millis(0, 40_000), how));
            }
        }
        cancels
    }

    fn is_on_all(&self, release: &Release) -> bool {
        self.hosts.iter().all(|host| host.releases.contains_key(&release.id))
    }

    /// Whether some hosts have the release and others do not: then it can't be staged on the others any more.
    fn is_on_some(&self, release: &Release) -> bool {
        let have = self.hosts.iter().filter(|host| host.releases.contains_key(&release.id)).count();
        have > 0 && have < self.hosts.len()
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> T {
    let Ok(value) = text.parse() else { unreachable!("`{text}` is written here") };
    value
}
