//! What may go wrong, and how often it really did.

use std::fmt;

use super::random::Random;

/// A kind of fault. Each simulated deploy meets a random choice of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fault {
    /// A command on a host fails without having done anything.
    CommandFails,
    /// The line breaks before the command begins.
    CommandLost,
    /// The line breaks after the command has done its work.
    AnswerLost,
    /// A command hangs before it does anything, until shipit's time is up.
    HangsBefore,
    /// A command does its work and hangs after that.
    HangsAfter,
    /// A command takes many times as long as usual.
    SlowCommand,
    /// A balancer does not answer to one question.
    BalancerSilent,
    /// A host loses its power, and stays away.
    HostDies,
    /// A host boots anew.
    HostReboots,
    /// A disk is full.
    DiskFull,
    /// The release does not boot on some hosts.
    WontBoot,
    /// The release boots on some hosts and never gets healthy.
    Unhealthy,
    /// The release is healthy on some hosts and fails its users.
    Faulty,
    /// The release boots so slowly that the deadline passes.
    BootsLate,
    /// A process of the app dies by itself; its supervisor starts it again.
    AppCrash,
    /// Requests last longer than the drain waits.
    LongRequests,
    /// A task of the recipe fails.
    TaskFails,
    /// Somebody else reloads haproxy, which forgets all states that were set by hand.
    HaproxyReload,
    /// Somebody else takes a server out.
    ForeignDrain,
    /// The runner is killed with -9.
    RunnerKilled,
    /// Somebody asks for an orderly end.
    CancelFinish,
    /// Somebody asks for everything to be taken back.
    CancelUnwind,
    /// A host can't be reached for a while.
    HostCutOff,
    /// A balancer's host can't be reached for a while.
    BalancerCutOff,
    /// The runner's whole network is away for a while.
    RunnerCutOff,
    /// A guard is killed.
    GuardKilled,
    /// A second deploy is begun.
    SecondDeploy,
    /// The wall clock of the runner jumps, forward or back.
    ClockStep,
}

impl Fault {
    /// All of them.
    pub(super) const ALL: [Self; 28] = [
        Self::CommandFails,
        Self::CommandLost,
        Self::AnswerLost,
        Self::HangsBefore,
        Self::HangsAfter,
        Self::SlowCommand,
        Self::BalancerSilent,
        Self::HostDies,
        Self::HostReboots,
        Self::DiskFull,
        Self::WontBoot,
        Self::Unhealthy,
        Self::Faulty,
        Self::BootsLate,
        Self::AppCrash,
        Self::LongRequests,
        Self::TaskFails,
        Self::HaproxyReload,
        Self::ForeignDrain,
        Self::RunnerKilled,
        Self::CancelFinish,
        Self::CancelUnwind,
        Self::HostCutOff,
        Self::BalancerCutOff,
        Self::RunnerCutOff,
        Self::GuardKilled,
        Self::SecondDeploy,
        Self::ClockStep,
    ];

    /// The words for it in the campaign's report.
    fn words(self) -> &'static str {
        match self {
            Self::CommandFails => "a command fails",
            Self::CommandLost => "the line breaks before a command",
            Self::AnswerLost => "an answer is lost",
            Self::HangsBefore => "a command hangs before it acts",
            Self::HangsAfter => "a command hangs after it has acted",
            Self::SlowCommand => "a command is slow",
            Self::BalancerSilent => "a balancer does not answer",
            Self::HostDies => "a host dies",
            Self::HostReboots => "a host reboots",
            Self::DiskFull => "a disk is full",
            Self::WontBoot => "the release does not boot",
            Self::Unhealthy => "the release is not healthy",
            Self::Faulty => "the release fails its users",
            Self::BootsLate => "the release boots too slowly",
            Self::AppCrash => "a process of the app crashes",
            Self::LongRequests => "requests outlast the drain",
            Self::TaskFails => "a task fails",
            Self::HaproxyReload => "haproxy is reloaded by somebody else",
            Self::ForeignDrain => "a server is drained by somebody else",
            Self::RunnerKilled => "the runner is killed",
            Self::CancelFinish => "cancelled: finish",
            Self::CancelUnwind => "cancelled: unwind",
            Self::HostCutOff => "a host is cut off",
            Self::BalancerCutOff => "a balancer is cut off",
            Self::RunnerCutOff => "the runner is cut off",
            Self::GuardKilled => "a guard is killed",
            Self::SecondDeploy => "a second deploy",
            Self::ClockStep => "the wall clock jumps",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

/// The faults that one simulated deploy may meet. Few at a time: many together hide what each can do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Swarm(u32);

impl Swarm {
    /// Those of `faults`.
    pub(super) fn of(faults: &[Fault]) -> Self {
        Self(faults.iter().fold(0, |bits, fault| bits | 1 << (*fault as u8)))
    }

    /// A few by chance; now and then none.
    pub(super) fn choose(random: &mut Random) -> Self {
        let few = random.between(0, 5);
        Self::of(&(0..few).map(|_| random.pick(&Fault::ALL)).collect::<Vec<_>>())
    }

    /// These and those.
    pub(super) fn and(self, faults: &[Fault]) -> Self {
        Self(self.0 | Self::of(faults).0)
    }

    pub(super) fn has(self, fault: Fault) -> bool {
        self.0 & 1 << (fault as u8) != 0
    }

    pub(super) fn names(self) -> String {
        let names = Fault::ALL.into_iter().filter(|fault| self.has(*fault)).map(Fault::words);
        names.collect::<Vec<_>>().join(", ")
    }
}

/// How often each fault really happened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts([u64; Fault::ALL.len()]);

impl Counts {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own += other);
    }

    pub(super) fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}
