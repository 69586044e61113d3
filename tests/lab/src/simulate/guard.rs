//! The guards: what stands on each host and balancer host during a run, by their contract.
//!
//! A guard holds the lock of its station, knows what is to be taken back there, and does so when its runner is gone. It is
//! told before anything is changed.

use std::sync::Arc;
use std::time::Duration;

use shipit::model::ServerState;
use shipit::plan::Action;

use tokio::time::Instant;

use super::fleet::Fleet;
use super::sabotage::Sabotage;
use super::script::{self, By};
use super::state::{Drainer, Guard, Run, State};

/// So long without a heartbeat means that the runner is gone.
const LEASE: Duration = Duration::from_secs(10);

/// So long a runner that is gone may come back.
const GRACE: Duration = Duration::from_secs(5);

/// So long a guard waits for the end of a step that still runs on its host.
const LAST_STEP: Duration = Duration::from_secs(20);

/// Why a station's lock can't be had.
pub(super) enum Refusal {
    Held,
    OutOfReach,
}

impl State {
    /// Takes the lock of a station for `run`, and puts a guard there.
    pub(super) fn lock(&mut self, station: usize, run: Run) -> Result<(), Refusal> {
        if !self.reaches(station) {
            return Err(Refusal::OutOfReach);
        }
        let is_held = self.stations[station].guard.is_some() || self.stations[station].steps > 0;
        if is_held && !self.sabotaged(Sabotage::NoLock) {
            return Err(Refusal::Held);
        }
        let number = self.number();
        self.stations[station].guard = Some(Guard { run, number, is_acting: false });
        self.stations[station].owner = run;
        let name = self.name(station);
        self.say("lock", station, || format!("run {run} has the lock of {name}"));
        match station.checked_sub(self.hosts.len()) {
            // What a dead one has left: the plan is made of what is observed.
            None => {
                self.hosts[station].undo.clear();
                let current = self.hosts[station].current.clone();
                self.runs[run].found.insert(station, current);
            }
            Some(balancer) => self.put_back(balancer),
        }
        Ok(())
    }

    /// Makes ready what the guard of a balancer, this one or a dead one, was told about.
    fn put_back(&mut self, balancer: usize) {
        for host in std::mem::take(&mut self.balancers[balancer].notes) {
            if self.balancers[balancer].servers[host].state != ServerState::Ready {
                let run = self.stations[self.balancer_station(balancer)].owner;
                self.check_owner(run, balancer, host);
                self.make_ready(balancer, host);
            }
        }
    }

    /// Whether `run` may change something here: its guard lives, and is not at work itself.
    pub(super) fn fence(&self, station: usize, run: Run) -> bool {
        let guard = self.stations[station].guard;
        let is_open = guard.is_some_and(|guard| guard.run == run && !guard.is_acting);
        is_open || self.sabotaged(Sabotage::NoFencing)
    }

    /// Whether the guards of the balancers have heard of `run` of late. Before a drained host is restarted, the runner asks:
    /// a guard that has not may be about to make the server ready.
    pub(super) fn balancers_hold(&self, run: Run) -> bool {
        if self.sabotaged(Sabotage::RestartsUnasked) {
            return true;
        }
        (0..self.balancers.len()).all(|balancer| {
            let station = self.balancer_station(balancer);
            let is_late = self.stations[station].cuts > 0 && self.now - self.stations[station].cut_since >= GRACE;
            self.fence(station, run) && !is_late
        })
    }

    /// Something was changed by `run`; nobody else may be at work there.
    pub(super) fn effect(&mut self, station: usize, run: Run) {
        self.runs[run].effects += 1;
        let owner = self.stations[station].owner;
        if owner != run {
            let name = self.name(station);
            self.broken(format!("4: run {run} changes {name}, which is run {owner}'s"));
        }
    }

    /// The runner is gone at once: its guards see the end of their input, where the line holds.
    pub(super) fn kill(&mut self, run: Run) {
        if self.runs[run].is_over {
            return;
        }
        self.say("killed", run, || format!("!!! the runner of run {run} is killed"));
        self.runs[run].is_over = true;
        if let Some(kill) = self.runs[run].kill.take() {
            let _ = kill.send(());
        }
        for station in 0..self.stations.len() {
            if self.reaches(station) {
                self.expect(station, GRACE);
            }
        }
        self.watch_servers(run);
    }

    /// The run is over in order, and its guards go. A server that is out by now is so on purpose, as its host could not be put
    /// right: the next run puts it back. Guards out of reach find out by themselves.
    pub(super) fn farewell(&mut self, run: Run) {
        self.runs[run].is_over = true;
        self.runs[run].kill = None;
        for station in 0..self.stations.len() {
            let is_ours = self.stations[station].guard.is_some_and(|guard| guard.run == run && !guard.is_acting);
            if !is_ours || !self.reaches(station) {
                continue;
            }
            if station < self.hosts.len() {
                self.hosts[station].undo.clear();
            }
            self.stations[station].guard = None;
        }
        self.watch_servers(run);
    }

    /// Nobody reaches a station for a while.
    pub(super) fn cut(&mut self, station: usize, lasts: Duration) {
        self.stations[station].cuts += 1;
        if self.stations[station].cuts == 1 {
            self.stations[station].cut_since = self.now;
            self.expect(station, LEASE + GRACE);
        }
        self.later(lasts, move |fleet| fleet.with(|state| state.heal(station)));
    }

    fn heal(&mut self, station: usize) {
        self.stations[station].cuts = self.stations[station].cuts.saturating_sub(1);
        if self.stations[station].cuts > 0 {
            return;
        }
        let name = self.name(station);
        self.say("heal", station, || format!("{name} can be reached again"));
        let Some(guard) = self.stations[station].guard else { return };
        if self.runs[guard.run].is_over {
            self.expect(station, GRACE);
        } else if self.runs[guard.run].to_forget.remove(&station) && !guard.is_acting {
            self.hosts[station].undo.clear();
        }
    }

    /// The guard of a station acts after a while, unless its runner is there again by then.
    fn expect(&mut self, station: usize, after: Duration) {
        let Some(Guard { number, .. }) = self.stations[station].guard else { return };
        self.later(after, move |fleet| {
            let acts = fleet.with(|state| state.begin_to_act(station, number));
            if acts {
                tokio::spawn(act(fleet.clone(), station, number));
            }
        });
    }

    fn begin_to_act(&mut self, station: usize, number: u64) -> bool {
        let is_cut_for_long =
            self.stations[station].cuts > 0 && self.now - self.stations[station].cut_since >= LEASE + GRACE;
        let Some(guard) = self.stations[station].guard.filter(|guard| guard.number == number) else { return false };
        let is_gone = self.runs[guard.run].is_over || is_cut_for_long;
        if guard.is_acting || !is_gone || self.sabotaged(Sabotage::NoGuard) {
            return false;
        }
        self.stations[station].guard = Some(Guard { is_acting: true, ..guard });
        let name = self.name(station);
        self.say("acting", station, || format!("the guard of run {} on {name} acts", guard.run));
        true
    }

    /// Whether the guard still lives that has this number.
    fn lives(&self, station: usize, number: u64) -> bool {
        self.stations[station].guard.is_some_and(|guard| guard.number == number)
    }

    /// A server that `run` has taken out is back half a minute after its end.
    fn watch_servers(&mut self, run: Run) {
        self.later(Duration::from_secs(30), move |fleet| fleet.with(|state| state.check_servers(run)));
    }

    fn check_servers(&mut self, run: Run) {
        for balancer in 0..self.balancers.len() {
            for host in 0..self.hosts.len() {
                let server = &self.balancers[balancer].servers[host];
                // Where the guard itself was destroyed, the next run puts it back.
                let has_no_guard = self.balancers[balancer].notes.contains(&host)
                    && self.stations[self.balancer_station(balancer)].guard.is_none()
                    && self.counts.of(super::fault::Fault::GuardKilled) > 0;
                let is_left = server.drained_by == Some(Drainer::Run(run)) && !has_no_guard;
                if is_left && !self.runs[run].not_put_back.contains(&host) {
                    self.broken(format!("3: run {run} has left web{} out on lb{}", host + 1, balancer + 1));
                }
            }
        }
    }
}

/// Takes back what is to be taken back, and goes.
async fn act(fleet: Arc<Fleet>, station: usize, number: u64) {
    let mut waited = Duration::ZERO;
    while waited < LAST_STEP && fleet.with(|state| state.stations[station].steps > 0 && state.lives(station, number)) {
        waited += Duration::from_millis(100);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    match station.checked_sub(fleet.setup.hosts) {
        None => {
            if undo_all(&fleet, station, number).await {
                fleet.with(|state| state.check_taken_back(station));
            }
        }
        Some(balancer) => fleet.with(|state| {
            if state.lives(station, number) {
                state.put_back(balancer);
            }
        }),
    }
    fleet.with(|state| {
        if state.lives(station, number) {
            state.stations[station].guard = None;
            if station < state.hosts.len() {
                state.hosts[station].undo.clear();
            }
            let name = state.name(station);
            state.say("gone", station, || format!("the guard on {name} is done"));
        }
    });
}

/// What a guard saw of a host that was out, when it found that its app is not well and has to go back.
///
/// Nobody can look and restart in one moment. An app that gets healthy in between, and that haproxy's checks let in before its restart,
/// which takes a host that is as slow as that, loses what it has in flight. That much and no more is nobody's fault.
pub(super) struct Judged {
    at: Instant,
    /// The processes that had no traffic then.
    idle: Vec<u64>,
}

impl Judged {
    /// The longest that a slow restart takes from the look to its last instance.
    const BOUND: Duration = Duration::from_secs(15);

    fn of(state: &State, host: usize) -> Self {
        let idle = state.hosts[host].apps.iter().filter(|app| !app.has_traffic).map(|app| app.number);
        Self { at: state.now, idle: idle.collect() }
    }

    /// Whether the process got its traffic only since the guard looked, just now.
    pub(super) fn excuses(&self, process: u64, now: Instant) -> bool {
        self.idle.contains(&process) && now - self.at <= Self::BOUND
    }
}

/// The stored undos, last step first. After one that failed the rest is left: what follows would give traffic to an instance that
/// could not be put right. Whether nothing failed.
async fn undo_all(fleet: &Arc<Fleet>, host: usize, number: u64) -> bool {
    let (mut undos, run) = fleet.with(|state| {
        let undos: Vec<_> = state.hosts[host].undo.values().cloned().collect();
        (undos, state.stations[host].owner)
    });
    if !fleet.with(|state| state.sabotaged(Sabotage::UndoInOrder)) {
        undos.reverse();
    }
    for undo in undos {
        if fleet.with(|state| is_well(state, host, &undo)) {
            continue;
        }
        fleet.with(|state| {
            let judged = undo.unless_healthy.is_some() && !state.sabotaged(Sabotage::RestartsHealthy);
            state.hosts[host].judged = judged.then(|| Judged::of(state, host));
        });
        for action in &undo.actions {
            if !fleet.with(|state| state.lives(host, number)) {
                return false;
            }
            if matches!(action, Action::Enable { .. } | Action::Drain | Action::Watch) {
                continue;
            }
            if !matches!(script::perform(fleet, host, action, By::Guard(run)).await, Some(Ok(()))) {
                return false;
            }
        }
    }
    true
}

/// Whether the host got its traffic back on a release that works, so that it is left alone.
fn is_well(state: &State, host: usize, undo: &shipit::remote::Undo) -> bool {
    let Some((release, instances)) = &undo.unless_healthy else { return false };
    if state.sabotaged(Sabotage::RestartsHealthy) {
        return false;
    }
    state.runs_well(host, release, state.places(instances))
}
