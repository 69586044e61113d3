//! Protections taken away one at a time: a campaign that does not notice is worth nothing.

use std::fmt;
use std::time::Duration;

use shipit::engine::{End, Outcome};
use shipit::model::StrategyName;
use shipit::plan::{Action, Plan, Step};

use super::fault::Fault;

/// A way to break a protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sabotage {
    NoFencing,
    NoLock,
    NoGuard,
    NoFloor,
    NoHealth,
    NoWaitInHaproxy,
    NoWaitInNginx,
    Maint,
    ReadyUnasked,
    AnswersFirst,
    UnlinksFirst,
    SealsFirst,
    PrunesByCount,
    RestartsHealthy,
    EnablesBeforeHealth,
    ForgetsEarly,
    UndoInOrder,
    ToldTooLate,
    FailuresPass,
    LastCommandJudges,
    RestartsUnasked,
    FlipsAlone,
    StopsBeforeFlip,
    UndoStopsLive,
    KeepsToken,
    ClearsNothing,
}

impl Sabotage {
    pub(super) const ALL: [Self; 26] = [
        Self::NoFencing,
        Self::NoLock,
        Self::NoGuard,
        Self::NoFloor,
        Self::NoHealth,
        Self::NoWaitInHaproxy,
        Self::NoWaitInNginx,
        Self::Maint,
        Self::ReadyUnasked,
        Self::AnswersFirst,
        Self::UnlinksFirst,
        Self::SealsFirst,
        Self::PrunesByCount,
        Self::RestartsHealthy,
        Self::EnablesBeforeHealth,
        Self::ForgetsEarly,
        Self::UndoInOrder,
        Self::ToldTooLate,
        Self::FailuresPass,
        Self::LastCommandJudges,
        Self::RestartsUnasked,
        Self::FlipsAlone,
        Self::StopsBeforeFlip,
        Self::UndoStopsLive,
        Self::KeepsToken,
        Self::ClearsNothing,
    ];

    /// Faults without which the protection is hardly ever needed: they come with each simulation that does without it.
    pub(super) fn needs(self) -> &'static [Fault] {
        match self {
            Self::ReadyUnasked => &[Fault::RunnerKilled, Fault::Unhealthy],
            Self::RestartsUnasked => &[Fault::BalancerCutOff, Fault::CommandLost],
            Self::UndoStopsLive => &[Fault::CommandFails],
            Self::ClearsNothing => &[Fault::LongRequests],
            _ => &[],
        }
    }

    /// The strategy that the protection is one of, where it is not one of all.
    pub(super) fn strategy(self) -> Option<StrategyName> {
        match self {
            Self::FlipsAlone | Self::StopsBeforeFlip | Self::UndoStopsLive | Self::KeepsToken | Self::ClearsNothing => {
                Some(StrategyName::Preboot)
            }
            Self::NoWaitInNginx => Some(StrategyName::Hotswap),
            Self::RestartsUnasked => Some(StrategyName::Rolling),
            _ => None,
        }
    }

    /// Changes the plan, where that is what it does.
    pub(super) fn spoil(self, plan: &mut Plan) {
        for lane in plan.waves.iter_mut().flat_map(|wave| &mut wave.lanes) {
            self.spoil_flip(&mut lane.steps);
            if self == Self::EnablesBeforeHealth {
                let place = |is: fn(&Action) -> bool| lane.steps.iter().position(|step| is(&step.action));
                let health = place(|action| matches!(action, Action::Health { .. }));
                let enable = place(|action| matches!(action, Action::Enable { .. }));
                if let (Some(health), Some(enable)) = (health, enable) {
                    lane.steps[health..=enable].rotate_right(1);
                }
            }
        }
    }

    fn spoil_flip(self, steps: &mut Vec<Step>) {
        if self == Self::FlipsAlone {
            steps.retain(|step| step.action != Action::Meet);
        }
        let Some(flip) = steps.iter().position(|step| matches!(step.action, Action::Flip { .. })) else { return };
        let Some(Action::Flip { to: before }) = steps[flip].undo.first().cloned() else { return };
        let stop = Action::Stop { instances: before, after: Duration::ZERO };
        if self == Self::StopsBeforeFlip {
            steps.insert(flip, Step { action: stop, undo: Vec::new(), timeout: Duration::from_mins(1) });
        } else if self == Self::UndoStopsLive {
            let undone = steps.iter_mut().flat_map(|step| &mut step.undo);
            undone.filter(|undo| matches!(undo, Action::Stop { .. })).for_each(|undo| *undo = stop.clone());
        }
    }

    /// Changes the judgement, where that is what it does.
    pub(super) fn misjudge(self, outcome: &mut Outcome) {
        if self == Self::LastCommandJudges && outcome.end != End::Cancelled {
            outcome.end = End::Done;
        }
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoFencing => "steps go on without a living guard",
            Self::NoLock => "the lock is given to everybody",
            Self::NoGuard => "guards never act",
            Self::NoFloor => "everybody is taken to serve",
            Self::NoHealth => "health is not waited for",
            Self::NoWaitInHaproxy => "no wait for requests after the drain",
            Self::NoWaitInNginx => "no wait for connections after nginx is told",
            Self::Maint => "maint instead of drain",
            Self::ReadyUnasked => "the guard's ready does not have haproxy ask the app",
            Self::AnswersFirst => "a script answers before it acts",
            Self::UnlinksFirst => "current is unlinked and linked, not renamed",
            Self::SealsFirst => "a release is sealed before it is whole",
            Self::PrunesByCount => "pruning counts, and looks at nothing else",
            Self::RestartsHealthy => "the guard restarts apps that are well",
            Self::EnablesBeforeHealth => "the server is ready before the app is healthy",
            Self::ForgetsEarly => "the guard forgets as soon as a step is done",
            Self::UndoInOrder => "the guard undoes the first step first",
            Self::ToldTooLate => "the guard is not told before the step",
            Self::FailuresPass => "a step that fails passes for one that did not",
            Self::RestartsUnasked => "a host is restarted without asking the balancers' guards",
            Self::FlipsAlone => "a host flips without waiting for the others",
            Self::StopsBeforeFlip => "the old instances are stopped before the flip, unasked",
            Self::UndoStopsLive => "the way back stops the wrong set, unasked",
            Self::KeepsToken => "who needs warm instances does not call off their end",
            Self::ClearsNothing => "idle instances are restarted whatever they still serve",
            Self::LastCommandJudges => "the exit code is that of the last command",
        })
    }
}
