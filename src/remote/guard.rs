//! The guard's script, and what the other scripts are told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answer::words;
use super::facts::problem;
use super::journal::JOURNAL;
use super::{COMMON, Site, seconds};
use crate::model::{Host, Instance, Problem, ReleaseId, clean};
use crate::plan::Action;
use crate::transport::{Output, Script, standing};

/// How long a guard waits for a word of shipit before it takes it for dead. Three beats, and a second for a busy machine.
pub const GUARD_LEASE: Duration = Duration::from_secs(10);

/// How long it then waits for a line that comes back: a connection is made anew within a second or two.
pub const GUARD_GRACE: Duration = Duration::from_secs(5);

/// How long a guard that acts waits for a step that changes something to end: a restart that nobody waits for any more.
const BUSY: Duration = Duration::from_mins(2);

/// How long a deploy waits for the guard of one that was cut off to be through, which may restart an app.
const PATIENCE: Duration = Duration::from_mins(3);

pub(super) const STATE: &str = include_str!("scripts/state.sh");
const WAY: &str = include_str!("scripts/way.sh");

/// What a person does with the lock of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockVerb {
    /// Looks who holds it.
    Status,
    /// Takes it, for whoever these lines of `name value` say.
    Take(Vec<String>),
    /// Ends the hold or the deploy that calls itself so.
    Break(String),
}

/// The lock of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockState {
    /// Who holds it, by name; empty if nobody does.
    pub holder: BTreeMap<String, String>,
    /// Whether that is a person, and no deploy.
    pub by_hand: bool,
    /// What a guard could not undo.
    pub broken: Option<String>,
}

impl LockVerb {
    /// The script for the lock of a host of the app, whose `root` this is.
    #[must_use]
    pub fn on_host(&self, root: &str) -> Script {
        self.script().with("STATE", format!("{root}/.shipit")).with("SOCKET", "")
    }

    /// The script for the lock at haproxy's `socket`.
    #[must_use]
    pub fn at_balancer(&self, socket: &str) -> Script {
        self.script().with("STATE", "").with("SOCKET", socket)
    }

    fn script(&self) -> Script {
        let (action, id, holder) = match self {
            Self::Status => ("status", "", &[][..]),
            Self::Take(holder) => ("take", "", &holder[..]),
            Self::Break(id) => ("break", id.as_str(), &[][..]),
        };
        Script::new(include_str!("scripts/lock.sh"))
            .using(STATE)
            .using(COMMON)
            .with("ACTION", action)
            .with("ID", id)
            .with_lines("HOLDER", holder)
    }
}

/// Reads the answer of the script of [`LockVerb::Status`].
#[must_use]
pub fn read_lock(output: &Output) -> LockState {
    let pairs = |word| -> BTreeMap<String, String> {
        let lines = words(&output.stdout, word).filter_map(|line| line.split_once(' '));
        lines.map(|(name, value)| (clean(name), clean(value))).collect()
    };
    let (hold, guard) = (pairs("hold"), pairs("guard"));
    let by_hand = !hold.is_empty();
    let broken = words(&output.stdout, "broken").next().map(clean);
    LockState { holder: if by_hand { hold } else { guard }, by_hand, broken }
}

/// Who calls a guard to a host, and how.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The deploy's word for itself, which nobody else has.
    pub run: &'a str,
    /// Lines of `name value` about who deploys, for whoever finds the lock taken.
    pub holder: &'a [String],
    /// Whether a guard of the same run stands there already, or stood there a moment ago.
    pub again: bool,
}

/// What a guard does about one step of its host's lane if shipit is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Undo {
    /// The step's place in the lane: what was done last is undone first.
    pub step: usize,
    /// In order. What happens on balancers is their own guards' business.
    pub actions: Vec<Action>,
    /// If these instances are healthy on this release, nothing is undone. Said of hosts that were taken out of the balancers:
    /// those get their traffic back at once, so that an app that works must not be restarted any more.
    pub unless_healthy: Option<(ReleaseId, Vec<Instance>)>,
}

impl Call<'_> {
    /// The script of a guard that knows how to undo steps, below the app's `root`.
    #[must_use]
    pub fn to_host(&self, root: &str) -> Script {
        self.script().with("STATE", format!("{root}/.shipit")).with("SOCKET", "").with("ASK", "")
    }

    /// The script of a guard that puts servers back by haproxy's `socket`, asked by the text of `ask`.
    #[must_use]
    pub fn to_balancer(&self, socket: &str, ask: &str) -> Script {
        self.script().with("STATE", "").with("SOCKET", socket).with("ASK", ask)
    }

    fn script(&self) -> Script {
        Script::new(include_str!("scripts/guard.sh"))
            .using(STATE)
            .using(WAY)
            .using(JOURNAL)
            .using(COMMON)
            .with("RUN", self.run)
            .with("JOURNAL_RUN", self.run)
            .with_lines("HOLDER", self.holder)
            .with("ATTACH", if self.again { "yes" } else { "" })
            .with("LEASE", seconds(GUARD_LEASE))
            .with("GRACE", seconds(GUARD_GRACE))
            .with("BUSY", seconds(BUSY))
            .with("PATIENCE", seconds(PATIENCE))
    }
}

/// The script that looks, changing nothing, whether a guard could stand at haproxy's `socket`, asked by the text of `ask`.
#[must_use]
pub fn check_post(socket: &str, ask: &str) -> Script {
    Script::new(include_str!("scripts/check_post.sh"))
        .using(STATE)
        .using(WAY)
        .using(COMMON)
        .with("STATE", "")
        .with("SOCKET", socket)
        .with("ASK", ask)
}

/// Reads the answer of [`check_post`].
#[must_use]
pub fn read_post(output: &Output) -> Vec<Problem> {
    words(&output.stdout, "problem").map(problem).collect()
}

impl Site<'_> {
    /// `script` for `host`, as a part of the guarded `run`, with what its guard is to know.
    #[must_use]
    pub fn guarded(&self, script: Script, host: &Host, run: &str, undo: Option<&Undo>) -> Script {
        let script = script.with("RUN", run);
        let Some(undo) = undo else { return script };
        let actions: Vec<Script> = undo.actions.iter().filter_map(|action| self.script(host, action)).collect();
        if actions.is_empty() {
            return script;
        }
        let unless = undo.unless_healthy.as_ref().map(|(release, instances)| self.glance(host, release, instances));
        let words: Vec<String> = undo.actions.iter().map(ToString::to_string).collect();
        let undo_script = format!("# {}\n{}", words.join(", "), standing(unless.as_ref(), &actions));
        script.with("STEP", format!("{:03}", undo.step)).with("UNDO", undo_script)
    }

    /// Whether `instances` are healthy on `release` right now.
    fn glance(&self, host: &Host, release: &ReleaseId, instances: &[Instance]) -> Script {
        self.health(host, Some(release), instances).with("PASSES", "1").with("DEADLINE", "1")
    }
}
