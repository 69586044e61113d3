//! The outside observer: asks of the fleet's history whether shipit's promises were kept, and never shipit itself.
//!
//! The numbers are those of the promises: 1 no request fails, 2 the floor, 3 servers come back, 4 one deploy at a time, 5 complete
//! releases, 6 the exit code, 7 the failure budget, 8 the way on, 10 every wait ends.

use shipit::driver::Deed;
use shipit::engine::{End, Outcome};
use shipit::model::{ReleaseId, Rounding, ServerState, StepResult};
use shipit::plan::Action;

use super::deploy::Exit;
use super::state::{Drainer, Quality, Run, State};

impl State {
    /// A run begins with something on a host.
    pub(super) fn asked_for(&mut self, run: Run, host: usize, deed: &Deed) {
        self.say("asked", host, || format!("run {run} has {} on web{}", deed.action, host + 1));
        if matches!(deed.action, Action::Flip { .. }) && deed.undo.is_some() {
            self.check_flip(run, host);
        }
        let changes =
            matches!(deed.action, Action::Drain | Action::Activate { .. } | Action::Route { .. } | Action::Flip { .. });
        if !changes || deed.undo.is_none() || !self.runs[run].touched.insert(host) {
            return;
        }
        let now = self.now;
        let looked = self.runs[run].looked.unwrap_or(now);
        if self.hosts[host].serves {
            self.runs[run].opened_on.insert(host, looked);
        }
        let allowed = self.setup.options.limits.max_failures.of(self.hosts.len(), Rounding::Down);
        let failed = self.runs[run].failed.values().filter(|at| **at < now).count();
        if failed > allowed {
            self.broken(format!("7: run {run} begins with web{} after {failed} failed", host + 1));
        }
    }

    /// A host is about to flip: all that are to flip with it were healthy on the release, but for those that failed as is allowed.
    fn check_flip(&mut self, run: Run, host: usize) {
        let here = &self.runs[run];
        let others = here.together.iter().filter(|group| group.contains(&host)).flatten();
        let missing = others.copied().find(|other| !here.healthy.contains(other) && !here.failed.contains_key(other));
        if let Some(other) = missing {
            self.broken(format!("7: run {run} flips web{} before web{} is healthy", host + 1, other + 1));
        }
    }

    /// Something failed there, or took too long.
    pub(super) fn failed(&mut self, run: Run, host: usize) {
        let now = self.now;
        self.runs[run].failed.entry(host).or_insert(now);
    }

    /// It heard how that ended.
    pub(super) fn answered(&mut self, run: Run, host: usize, deed: &Deed, result: &StepResult) {
        self.say("answered", host, || {
            let what = match result {
                StepResult::Ok(_) => "ok".to_owned(),
                StepResult::Failed(failure) => format!("failed: {}", failure.what),
                StepResult::Unknown(failure) => format!("unknown: {}", failure.what),
            };
            format!("run {run}: {} on web{}: {what}", deed.action, host + 1)
        });
        if !matches!(result, StepResult::Ok(_)) {
            self.failed(run, host);
        } else if matches!(deed.action, Action::Health { .. }) && deed.back.is_none() {
            self.runs[run].healthy.insert(host);
        }
        if deed.back.is_some() {
            self.point_back(run);
        }
    }

    /// A host is about to be taken out: enough others must serve, as far as the last look could show. Those count as serving that
    /// have left by themselves since. A host that did not serve when the run came to it may go again.
    pub(super) fn check_floor(&mut self, run: Run, host: usize) {
        if !self.hosts[host].serves {
            return;
        }
        let floor = self.setup.floor();
        let Some(looked) = self.runs[run].opened_on.get(&host).copied() else { return };
        let others = (0..self.hosts.len()).filter(|other| *other != host);
        let serve = others.filter(|other| {
            let other = &self.hosts[*other];
            other.serves || other.lost_at.is_some_and(|at| at >= looked)
        });
        let serve = serve.count();
        if serve < floor {
            self.broken(format!("2: run {run} takes web{} out, which leaves {serve} of {floor}", host + 1));
        }
    }

    /// A server is about to be put back: it must not be one that somebody else took out.
    pub(super) fn check_owner(&mut self, run: Run, balancer: usize, host: usize) {
        if self.balancers[balancer].servers[host].drained_by == Some(Drainer::Somebody) {
            self.broken(format!("3: run {run} puts web{} back, which somebody else took out", host + 1));
        }
    }

    /// Whether the app is healthy there and fails its users.
    pub(super) fn fails_its_users(&self, host: usize) -> bool {
        let here = &self.hosts[host];
        let routed = here.apps.iter().zip(&here.routed).filter(|(_, routed)| **routed);
        let mut live = routed.filter_map(|(app, _)| app.release.as_ref());
        live.any(|release| self.quality(host, release) == Quality::Faulty)
    }

    /// A guard says that it has taken everything back. Where no host leaves the balancers, either all go over to the release or none:
    /// until it is confirmed there, nothing of a lost run may stay.
    pub(super) fn check_taken_back(&mut self, host: usize) {
        let run = self.stations[host].owner;
        let here = &self.runs[run];
        let is_excused =
            here.drained.contains(&host) || here.failed.contains_key(&host) || here.confirmed.contains(&host);
        let is_back = here.found.get(&host).is_none_or(|found| *found == self.hosts[host].current);
        if here.touched.contains(&host) && !is_excused && !is_back {
            self.broken(format!("8: run {run} was lost, and web{} keeps what it did", host + 1));
        }
    }

    /// The exit code must say what is.
    pub(super) fn check_end(&mut self, run: Run, target: &ReleaseId, outcome: &Outcome) {
        for host in 0..self.hosts.len() {
            if !outcome.hosts.contains_key(&self.stations[host].name) {
                self.broken(format!("6: run {run} says nothing of web{}", host + 1));
            }
            let here = &self.hosts[host];
            let mut live = self.live(host).filter_map(|place| here.apps[place].release.as_ref());
            let is_wrong = match outcome.end {
                End::Done => live.any(|release| release != target) || here.current.as_ref() != Some(target),
                End::RolledBack => {
                    let found = self.runs[run].found.get(&host);
                    let is_switched = here.current.as_ref() == Some(target) && found != Some(&here.current);
                    self.reaches(host) && (is_switched || live.any(|release| release == target))
                }
                _ => false,
            };
            if is_wrong {
                self.broken(format!("6: run {run} says {}, and web{} is not", outcome.end.words(), host + 1));
            }
        }
    }

    /// A run that was refused must not have changed anything.
    pub(super) fn check_refused(&mut self, run: Run, exit: &Exit) {
        if matches!(exit, Exit::Locked | Exit::Preflight(_)) && self.runs[run].effects > 0 {
            self.broken(format!("4: run {run} was refused, and has changed something"));
        }
    }

    /// Nothing goes wrong any more, and the last deploy is over: all serve one release.
    pub(super) fn check_calm(&mut self, exit: &Exit, target: &ReleaseId) {
        if *exit != Exit::Run(End::Done) {
            self.broken(format!("8: when nothing goes wrong any more, a deploy ends with {exit:?}"));
            return;
        }
        for host in 0..self.hosts.len() {
            let is_well = self.runs_well(host, target, self.live(host));
            let is_in = self.balancers.iter().all(|balancer| balancer.servers[host].state == ServerState::Ready);
            let routed = &self.hosts[host].routed;
            let is_routed = (0..routed.len()).all(|place| routed[place] == self.live(host).contains(&place));
            if !(is_well && is_in && is_routed) {
                self.broken(format!("8: at the end web{} does not serve {target} with all it has", host + 1));
            }
        }
    }

    /// Some time after that nothing is kept warm any more. What does not boot is nothing that could be seen on the host.
    pub(super) fn check_cold(&mut self) {
        for host in 0..self.hosts.len() {
            let live = self.live(host);
            let idle = (0..self.hosts[host].apps.len()).filter(|place| !live.contains(place));
            for app in idle.filter(|place| self.hosts[host].apps[*place].release.is_some()).collect::<Vec<_>>() {
                let name = self.app_name(host, app);
                self.broken(format!("8: at the end {name} still runs, for nobody"));
            }
        }
    }
}
