//! What befalls a deploy, and how it may end then.

use std::time::Duration;

use clap::ValueEnum as _;
use rustix::process::Signal;

/// What befalls a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum End {
    /// SIGKILL, as when the runner is switched off.
    Kill,
    /// SIGTERM, as when a runner is told to go.
    Term,
    /// As GitHub cancels a job: SIGINT, 7.5 s later SIGTERM, 2.5 s later SIGKILL.
    Github,
    /// The connection to the host at hand is closed.
    CutHost,
    /// Nothing comes through the connection to that host any more; a new one can be made.
    MuteHost,
    /// Nothing gets to that host any more, in no connection.
    LoseHost,
    /// The same three with a balancer's host.
    CutBalancer,
    /// See `mute-host`.
    MuteBalancer,
    /// See `lose-host`.
    LoseBalancer,
    /// The guard on the host at hand is killed.
    GuardHost,
    /// The guard on a balancer's host is killed.
    GuardBalancer,
    /// Somebody else deploys from another directory; in turn with `--lock-wait` and without.
    Second,
    /// It is killed, and somebody else deploys at once.
    KillSecond,
}

/// What is done to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Closed,
    Mute,
    Lost,
}

/// What is done to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Blow {
    /// To shipit: signals, each so long after the one before.
    Signals(Vec<(Duration, Signal)>),
    /// To the line to a host, or to a balancer's.
    Line(Line, Place),
    /// To a guard: it is killed.
    Guard(Place),
}

/// Where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Host,
    Balancer,
}

impl End {
    /// Its word on the command line.
    pub(super) fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// As tables name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Term => "SIGTERM",
            Self::Github => "GitHub",
            Self::CutHost => "host: line cut",
            Self::MuteHost => "host: line mute",
            Self::LoseHost => "host: unreachable",
            Self::CutBalancer => "haproxy: line cut",
            Self::MuteBalancer => "haproxy: line mute",
            Self::LoseBalancer => "haproxy: unreachable",
            Self::GuardHost => "host: guard killed",
            Self::GuardBalancer => "haproxy: guard killed",
            Self::Second => "second deploy",
            Self::KillSecond => "kill -9, second deploy",
        }
    }

    /// What is done.
    pub(super) fn blows(self) -> Vec<Blow> {
        let now = Duration::ZERO;
        let signals = |signals: &[(Duration, Signal)]| vec![Blow::Signals(signals.to_vec())];
        match self {
            Self::Kill | Self::KillSecond => signals(&[(now, Signal::KILL)]),
            Self::Term => signals(&[(now, Signal::TERM)]),
            Self::Github => signals(&[
                (now, Signal::INT),
                (Duration::from_millis(7500), Signal::TERM),
                (Duration::from_millis(2500), Signal::KILL),
            ]),
            Self::CutHost => vec![Blow::Line(Line::Closed, Place::Host)],
            Self::MuteHost => vec![Blow::Line(Line::Mute, Place::Host)],
            Self::LoseHost => vec![Blow::Line(Line::Lost, Place::Host)],
            Self::CutBalancer => vec![Blow::Line(Line::Closed, Place::Balancer)],
            Self::MuteBalancer => vec![Blow::Line(Line::Mute, Place::Balancer)],
            Self::LoseBalancer => vec![Blow::Line(Line::Lost, Place::Balancer)],
            Self::GuardHost => vec![Blow::Guard(Place::Host)],
            Self::GuardBalancer => vec![Blow::Guard(Place::Balancer)],
            Self::Second => Vec::new(),
        }
    }

    /// Whether somebody else deploys then.
    pub(super) fn brings_a_second(self) -> bool {
        matches!(self, Self::Second | Self::KillSecond)
    }

    /// The exit codes that shipit may end with. Whether one is true is another question, for the fleet.
    pub(super) fn codes(self) -> &'static [i32] {
        match self {
            // It may have been through a moment before.
            Self::Kill | Self::KillSecond => &[-9, 0],
            Self::Term | Self::Github => &[0, 20, 23],
            // The line is there again within a second, and a mute one after nine; in the login it is refused, and nothing was changed.
            Self::CutHost | Self::CutBalancer | Self::MuteHost | Self::MuteBalancer => &[0, 11],
            // A killed guard is replaced in that time, too, but a step that begins meanwhile is refused.
            Self::GuardHost | Self::GuardBalancer => &[0, 20, 21],
            Self::LoseHost | Self::LoseBalancer => &[0, 11, 20, 21, 22],
            Self::Second => &[0, 12],
        }
    }
}
