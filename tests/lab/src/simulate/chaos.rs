//! What goes wrong at some moment by itself: machines, lines, other people.

use std::sync::Arc;
use std::time::Duration;

use shipit::model::ServerState;

use super::fault::Fault;
use super::fleet::Fleet;
use super::state::{Drainer, State};

const BY_THEMSELVES: [Fault; 11] = [
    Fault::HostDies,
    Fault::HostReboots,
    Fault::DiskFull,
    Fault::AppCrash,
    Fault::HaproxyReload,
    Fault::ForeignDrain,
    Fault::HostCutOff,
    Fault::BalancerCutOff,
    Fault::RunnerCutOff,
    Fault::GuardKilled,
    Fault::ClockStep,
];

/// Lets the faults of the swarm come, each once to four times, and those that have their time.
pub(super) fn begin(fleet: &Arc<Fleet>) {
    fleet.with(|state| {
        for (after, fault) in state.setup.scheduled.clone() {
            state.later(after, move |fleet| fleet.with(|state| state.strike(fault)));
        }
        let longest = 8000 + 7000 * state.hosts.len() as u64;
        for fault in BY_THEMSELVES {
            if !state.setup.swarm.has(fault) {
                continue;
            }
            for _ in 0..state.random.between(1, 4) {
                let after = state.random.millis(0, longest);
                state.later(after, move |fleet| fleet.with(|state| state.strike(fault)));
            }
        }
    });
}

impl State {
    fn strike(&mut self, fault: Fault) {
        if self.is_calm {
            return;
        }
        let host = self.random.place(self.hosts.len());
        let balancer = self.random.place(self.balancers.len());
        let struck = match fault {
            Fault::HostDies => self.strike_power(host, None),
            Fault::HostReboots => {
                let away = self.random.millis(5000, 40_000);
                self.strike_power(host, Some(away))
            }
            Fault::DiskFull => {
                self.hosts[host].disk_is_full = true;
                true
            }
            Fault::AppCrash => self.strike_app(host),
            Fault::HaproxyReload => {
                self.reload(balancer);
                true
            }
            Fault::ForeignDrain => self.drain_by_somebody(host),
            Fault::HostCutOff => self.cut_for_a_while(&[host]),
            Fault::BalancerCutOff => self.cut_for_a_while(&[self.balancer_station(balancer)]),
            Fault::RunnerCutOff => self.cut_for_a_while(&(0..self.stations.len()).collect::<Vec<_>>()),
            Fault::GuardKilled => self.kill_guard(),
            Fault::ClockStep => {
                self.clock += [-40_000, -60, 60, 40_000][self.random.place(4)];
                true
            }
            _ => false,
        };
        if struck {
            self.fired(fault, host, || format!("web{} or lb{}", host + 1, balancer + 1));
        }
    }

    fn strike_power(&mut self, host: usize, back: Option<Duration>) -> bool {
        let was_up = self.stations[host].is_up;
        if was_up {
            self.die(host);
            if let Some(back) = back {
                self.later(back, move |fleet| fleet.with(|state| state.power_on(host)));
            }
        }
        was_up
    }

    fn strike_app(&mut self, host: usize) -> bool {
        let app = self.random.place(self.hosts[host].apps.len());
        let lived = self.hosts[host].apps[app].is_healthy;
        if lived {
            self.crash(host, app);
        }
        lived
    }

    /// Somebody takes a host out everywhere, where it can be told whose doing that is.
    fn drain_by_somebody(&mut self, host: usize) -> bool {
        let is_ours = |state: &Self| {
            let noted = state.balancers.iter().any(|balancer| balancer.notes.contains(&host));
            noted || state.hosts[host].is_moving
        };
        let is_ready = self.balancers.iter().all(|balancer| balancer.servers[host].state == ServerState::Ready);
        if is_ours(self) || !is_ready {
            return false;
        }
        let state = self.random.pick(&[ServerState::Drain, ServerState::Maint]);
        for balancer in 0..self.balancers.len() {
            self.set(balancer, host, state, Some(Drainer::Somebody));
        }
        true
    }

    fn cut_for_a_while(&mut self, stations: &[usize]) -> bool {
        let lasts = self.random.millis(1000, 45_000);
        for station in stations {
            self.cut(*station, lasts);
        }
        true
    }

    fn kill_guard(&mut self) -> bool {
        let station = self.random.place(self.stations.len());
        let name = self.name(station);
        self.say("guard-killed", station, || format!("at {name}"));
        self.stations[station].guard.take().is_some()
    }

    /// From now on nothing goes wrong, and what did is mended by people.
    pub(super) fn mend(&mut self) {
        self.is_calm = true;
        self.say("calm", 0, || "nothing goes wrong any more".to_owned());
        for host in 0..self.hosts.len() {
            self.hosts[host].disk_is_full = false;
            self.power_on(host);
            for balancer in 0..self.balancers.len() {
                if self.balancers[balancer].servers[host].drained_by == Some(Drainer::Somebody) {
                    self.make_ready(balancer, host);
                    // Whom a person sends to an app that does not answer, that person sends.
                    let is_ill = self.live(host).any(|app| !self.hosts[host].apps[app].is_healthy);
                    self.balancers[balancer].servers[host].is_excused = is_ill;
                }
            }
        }
    }
}
