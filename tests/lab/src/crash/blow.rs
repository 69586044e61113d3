//! Doing it: to shipit, to connections, to guards.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::end::{Blow, Line, Place};
use crate::fleet::{Fleet, Host};
use crate::process::Process;

/// What was done, and what is still to be done. When this goes, whatever was stopped goes on.
#[derive(Debug)]
pub(super) struct Blows {
    signals: Vec<(Duration, Signal)>,
    /// When that began.
    pub(super) struck: Instant,
    last: Instant,
    stopped: Vec<Process>,
    /// How many processes were struck. There is not always a guard, or a connection.
    pub(super) hit: usize,
}

impl Blows {
    /// Strikes `shipit`, or something of `fleet`; `host` is the one at hand.
    pub(super) fn strike(blows: Vec<Blow>, shipit: Process, fleet: &Fleet, host: &Host) -> Self {
        let now = Instant::now();
        let mut struck = Self { signals: Vec::new(), struck: now, last: now, stopped: Vec::new(), hit: 0 };
        for blow in blows {
            match blow {
                Blow::Signals(mut signals) => {
                    signals.reverse();
                    struck.signals = signals;
                }
                Blow::Line(line, place) => struck.line(line, place.of(fleet, host)),
                Blow::Guard(place) => struck.all(guards(place.of(fleet, host)), Signal::KILL),
            }
        }
        struck.go_on(shipit);
        struck
    }

    /// Sends what is due.
    pub(super) fn go_on(&mut self, shipit: Process) {
        while let Some((pause, signal)) = self.signals.last().copied()
            && self.last.elapsed() >= pause
        {
            self.all([shipit], signal);
            self.signals.pop();
            self.last = Instant::now();
        }
    }

    fn line(&mut self, line: Line, host: &Host) {
        let listener = Process::recorded(&host.pid_file("sshd"));
        let family = Process::families(listener.into_iter().collect());
        let sessions = family.iter().filter(|one| Some(**one) != listener && one.command_line().starts_with("sshd: "));
        let stopped: Vec<Process> = match line {
            Line::Closed => {
                self.all(sessions.copied(), Signal::KILL);
                return;
            }
            Line::Mute => sessions.copied().collect(),
            Line::Lost => listener.into_iter().chain(sessions.copied()).collect(),
        };
        self.all(stopped.iter().copied(), Signal::STOP);
        self.stopped.extend(stopped);
    }

    fn all(&mut self, processes: impl IntoIterator<Item = Process>, signal: Signal) {
        for process in processes {
            process.signal(signal);
            self.hit += 1;
        }
    }
}

impl Drop for Blows {
    fn drop(&mut self) {
        self.stopped.iter().for_each(|process| process.signal(Signal::CONT));
    }
}

impl Place {
    fn of<'a>(self, fleet: &'a Fleet, host: &'a Host) -> &'a Host {
        match self {
            Self::Host => host,
            Self::Balancer => fleet.balancers.first().unwrap_or(host),
        }
    }
}

/// The guards that stand on a host: below the app's root, or at a socket of haproxy's.
fn guards(host: &Host) -> impl Iterator<Item = Process> {
    let sockets = fs::read_dir(host.directory.join("home/.shipit")).into_iter().flatten().flatten();
    let states = sockets.map(|socket| socket.path()).chain([host.srv().join(".shipit")]);
    let signed = states.filter_map(|state| fs::read_to_string(state.join("guard/run")).ok());
    signed.filter_map(|text| Process::with_pid(text.split_whitespace().nth(1)?.parse().ok()?))
}
