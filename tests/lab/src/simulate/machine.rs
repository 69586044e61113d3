//! What hosts do by themselves: processes boot, crash and come back; machines lose their power.

use std::time::Duration;

use shipit::model::ReleaseId;

use super::state::{Quality, State};

/// How long an app that boots too slowly takes: longer than the recipe's deadline and what is added to it.
const LATE: Duration = Duration::from_secs(40);

impl State {
    /// Starts an instance anew, on what `current` names, as the recipe's command does.
    ///
    /// The outside observer asks whether a user notices: whoever stops a process that has traffic, or requests in flight, cuts
    /// them off.
    pub(super) fn restart(&mut self, host: usize, app: usize, who: &str, by_guard: bool) {
        let name = self.app_name(host, app);
        self.say("restart", host * 8 + app, || format!("{name} is restarted by {who}"));
        let (now, seed) = (self.now, self.hosts[host].current.clone());
        let process = &self.hosts[host].apps[app];
        // Traffic that goes to a crashed process until haproxy has noticed goes to what is started in its place, too.
        let is_down_already = by_guard && process.has_traffic && !process.is_healthy && !process.by_shipit;
        // A process that crashed in the moment in which the runner was lost looks to its guard like a release that does not work.
        let is_crashed = |state: &Self| {
            let mut apps = state.hosts[host].apps.iter();
            by_guard && apps.any(|app| !app.is_stopped && !app.is_healthy && !app.by_shipit)
        };
        let judged = self.hosts[host].judged.as_ref().filter(|_| by_guard);
        let is_used = process.is_healthy && (process.has_traffic || process.busy_until > now);
        if is_used && judged.is_some_and(|judged| judged.excuses(process.number, now)) {
            self.say("late", host, || "it has got its traffic since the guard looked".to_owned());
            return self.boot(host, app, seed, false);
        } else if process.is_healthy && process.has_traffic && is_crashed(self) {
            self.say("crashed", host, || "the guard takes a crash for a bad release".to_owned());
            return self.boot(host, app, seed, false);
        } else if process.is_healthy && process.has_traffic {
            self.broken(format!("1: {name} is restarted by {who} while it takes traffic"));
        } else if process.is_healthy && process.busy_until > now {
            self.broken(format!("1: {name} is restarted by {who} with requests in flight"));
        }
        self.boot(host, app, seed, !is_down_already);
    }

    /// A process begins.
    fn boot(&mut self, host: usize, app: usize, release: Option<ReleaseId>, by_shipit: bool) {
        let number = self.number();
        let quality = release.as_ref().map_or(Quality::Nothing, |release| self.quality(host, release));
        if let Some(fault) = quality.fault() {
            self.fired(fault, host, || format!("web{}", host + 1));
        }
        let process = &mut self.hosts[host].apps[app];
        process.number = number;
        process.is_stopped = false;
        process.is_healthy = false;
        // What the process before it was busy with ended with it.
        process.busy_until = self.now;
        process.by_shipit = by_shipit;
        process.release = if matches!(quality, Quality::WontBoot | Quality::Nothing) { None } else { release };
        let takes = match quality {
            Quality::Good | Quality::Faulty => self.random.millis(200, 6000),
            Quality::BootsLate => LATE,
            Quality::WontBoot | Quality::Nothing | Quality::Unhealthy => return,
        };
        self.later(takes, move |fleet| {
            fleet.with(|state| {
                if state.hosts[host].apps[app].number == number {
                    let process = &mut state.hosts[host].apps[app];
                    process.is_healthy = true;
                    process.by_shipit = false;
                    let name = state.app_name(host, app);
                    state.say("healthy", host * 8 + app, || format!("{name} is healthy"));
                }
            });
        });
    }

    /// Stops an instance as the recipe's command does. The observer asks whether a user notices.
    pub(super) fn stop(&mut self, host: usize, app: usize, who: &str) {
        let name = self.app_name(host, app);
        self.say("stop", host * 8 + app, || format!("{name} is stopped by {who}"));
        let (number, now) = (self.number(), self.now);
        let process = &self.hosts[host].apps[app];
        if process.is_healthy && process.has_traffic {
            self.broken(format!("1: {name} is stopped by {who} while it takes traffic"));
        } else if process.is_healthy && process.busy_until > now {
            self.broken(format!("1: {name} is stopped by {who} with requests in flight"));
        }
        let process = &mut self.hosts[host].apps[app];
        process.number = number;
        process.is_stopped = true;
        process.is_healthy = false;
        process.by_shipit = true;
        process.release = None;
    }

    /// A process dies by itself, and its supervisor starts it again.
    pub(super) fn crash(&mut self, host: usize, app: usize) {
        let number = self.number();
        let process = &mut self.hosts[host].apps[app];
        process.number = number;
        process.is_healthy = false;
        process.by_shipit = false;
        process.release = None;
        let wait = self.random.millis(500, 2000);
        self.later(wait, move |fleet| {
            fleet.with(|state| {
                if state.hosts[host].apps[app].number == number {
                    let release = state.hosts[host].current.clone();
                    state.boot(host, app, release, false);
                }
            });
        });
    }

    /// The power is gone, and with it all that runs.
    pub(super) fn die(&mut self, host: usize) {
        self.stations[host].is_up = false;
        self.stations[host].boot += 1;
        self.stations[host].guard = None;
        self.stations[host].steps = 0;
        self.hosts[host].is_taken = false;
        for app in 0..self.hosts[host].apps.len() {
            let number = self.number();
            let process = &mut self.hosts[host].apps[app];
            process.number = number;
            process.is_healthy = false;
            process.by_shipit = process.is_stopped;
            process.release = None;
        }
    }

    /// The power is back: everything starts on what `current` names.
    pub(super) fn power_on(&mut self, host: usize) {
        if self.stations[host].is_up {
            return;
        }
        self.say("power", host, || "power is back".to_owned());
        self.stations[host].is_up = true;
        let started = |app: &usize| !self.hosts[host].apps[*app].is_stopped;
        for app in (0..self.hosts[host].apps.len()).filter(started).collect::<Vec<_>>() {
            let release = self.hosts[host].current.clone();
            self.boot(host, app, release, false);
        }
    }

    pub(super) fn app_name(&self, host: usize, app: usize) -> String {
        format!("{}:{}", self.stations[host].name, self.setup.recipe.instances()[app])
    }
}
