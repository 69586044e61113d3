//! The recipe: how an app is shipped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Fingerprint, HostFacts, Instance, RecipeName, Role, TaskName, Template};

/// `recipes/NAME.toml`, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The file's name without its ending.
    pub name: RecipeName,
    /// Where releases lie and what they are made of.
    pub release: ReleaseSpec,
    /// The app's processes.
    pub app: AppSpec,
    /// What admits an instance.
    pub health: HealthSpec,
    /// The requests before traffic.
    pub warm: WarmSpec,
    /// How long requests in flight may take.
    pub drain: DrainSpec,
    /// How long a host that is back is watched.
    pub watch: WatchSpec,
    /// The local nginx, for strategies that use it.
    pub hotswap: Option<HotswapSpec>,
    /// The second set of instances, for the strategy that boots a release beside the old one.
    pub preboot: Option<PrebootSpec>,
    /// Scripts at fixed moments, in the file's order.
    pub tasks: Vec<Task>,
}

/// `[release]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseSpec {
    /// `releases/`, `current` and `shared/` lie below it. May use `{host}`, `{environment}` and `{vars.…}`.
    pub root: Template,
    /// How many releases stay on a host, the running one included; at least 2, so that one can go back.
    pub keep: usize,
    /// What a release is made of.
    pub source: Source,
    /// Directories of `shared/` that each release links to.
    pub linked_dirs: Vec<String>,
    /// Files of `shared/` that each release links to; they must be there.
    pub linked_files: Vec<String>,
}

/// What a release is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A commit: each host keeps a mirror of the repository.
    Git {
        /// The repository, as the hosts reach it.
        url: String,
        /// A branch, a tag or a commit; resolved once, on the runner.
        reference: String,
    },
    /// A directory on the runner, packed once.
    Directory(PathBuf),
    /// A tar archive on the runner, plain or compressed.
    Archive(PathBuf),
    /// A tar archive that the hosts fetch.
    Url {
        /// Where it is.
        url: String,
        /// What it must hash to.
        sha256: Fingerprint,
    },
}

/// `[app]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AppSpec {
    /// The hosts that run it.
    pub role: Role,
    /// Its processes on each host; never empty.
    pub instances: Vec<Instance>,
    /// The command that restarts one of them.
    pub restart: Template,
    /// How long that command may take.
    pub restart_timeout: Duration,
    /// A command that prints an instance's log; its last lines are shown when the instance does not get healthy.
    pub logs: Option<Template>,
}

/// `[health]`.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthSpec {
    /// Asked on the host; any 2xx answer is a pass.
    pub url: Template,
    /// The wait between two checks once the app answers; before that, shipit asks more often at first.
    pub interval: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How long an instance may take to become healthy.
    pub deadline: Duration,
    /// So many passes in a row, from one process.
    pub passes: u32,
    /// How the running release is known.
    pub release: ReleaseProof,
}

/// How shipit knows which release a running process is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseProof {
    /// The working directory or the executable of the process that listens on the port.
    Process,
    /// A header of the health answer, whose value holds the release's id.
    Header(String),
    /// The body of the health answer holds the release's id.
    Body,
}

/// `[warm]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WarmSpec {
    /// Each is asked on the host; the last answer of each must be below 500.
    pub urls: Vec<Template>,
    /// So often each.
    pub requests: u32,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// `[drain]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainSpec {
    /// At least the longest request.
    pub timeout: Duration,
    /// What happens to connections that stay beyond that.
    pub leftover: Leftover,
}

/// What happens to connections that outlive the drain's time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// The host goes back into service as it was, and counts as failed.
    Abort,
    /// They are closed, and counted.
    Cut,
}

/// `[watch]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchSpec {
    /// How long the balancers' counters for a host that is back are watched before the next host.
    pub duration: Duration,
}

/// `[hotswap]`: how the local nginx is told which instances get traffic.
#[derive(Debug, Clone, PartialEq)]
pub enum HotswapSpec {
    /// By an include file with the upstream's servers, and a reload.
    Include(IncludeSpec),
    /// By symbolic links to the instances' sockets, without a reload: nginx follows a link at each connection.
    Links(LinkSpec),
}

/// `[hotswap]` with an include file.
#[derive(Debug, Clone, PartialEq)]
pub struct IncludeSpec {
    /// The include file of nginx that shipit owns.
    pub upstream: Template,
    /// An instance's address in it.
    pub server: Template,
    /// The command that checks nginx's configuration.
    pub test: Template,
    /// The command that reloads nginx.
    pub reload: Template,
    /// The file with the id of nginx's master process.
    pub pid: Template,
    /// Where nginx says why it did not take up a configuration.
    pub error_log: Template,
}

/// `[hotswap]` with links.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkSpec {
    /// An instance's link, which a `server unix:…` of nginx names.
    pub link: Template,
    /// The socket that the instance listens on.
    pub socket: Template,
}

/// `[preboot]`: a second set of instances. One set is live, the other is idle, and each preboot swaps the two.
#[derive(Debug, Clone, PartialEq)]
pub struct PrebootSpec {
    /// The second set; as many as `[app] instances`, and none of those.
    pub instances: Vec<Instance>,
    /// The command that stops an instance, of either set.
    pub stop: Template,
    /// How long the old release stays warm after the flip.
    pub keep_warm: Duration,
}

/// `[[tasks]]`: a script at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its name in messages.
    pub name: TaskName,
    /// When.
    pub at: Moment,
    /// What: shell.
    pub run: Template,
    /// Where; the app's role unless said otherwise.
    pub role: Role,
    /// On one host, and once per release.
    pub once: bool,
    /// The working directory; the release's (or the root, before there is one) unless said otherwise.
    pub directory: Option<Template>,
    /// Its environment, besides `SHIPIT_…`.
    pub environment: BTreeMap<String, Template>,
    /// How long it may take.
    pub timeout: Duration,
}

/// The points of a deploy that tasks hang on, Capistrano's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Before anything is put on the hosts.
    Started,
    /// The release is complete on every host; nothing uses it yet.
    Updated,
    /// Every host runs the release.
    Published,
    /// Old releases are pruned; the deploy is over.
    Finished,
    /// The deploy failed, after what was undone.
    Failed,
}

impl Moment {
    /// All moments, in the order of a deploy.
    pub const ALL: [Self; 5] = [Self::Started, Self::Updated, Self::Published, Self::Finished, Self::Failed];

    /// The word that users write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Updated => "updated",
            Self::Published => "published",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }
}

impl Recipe {
    /// All instances of a host: those of `[app]`, and the second set where there is one.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        self.app.instances.iter().chain(self.second_set()).copied().collect()
    }

    /// The instances of `[preboot]`.
    #[must_use]
    pub fn second_set(&self) -> &[Instance] {
        self.preboot.as_ref().map_or(&[], |preboot| &preboot.instances)
    }

    /// The set that `instance` is of.
    #[must_use]
    pub fn set_of(&self, instance: Instance) -> &[Instance] {
        if self.second_set().contains(&instance) { self.second_set() } else { &self.app.instances }
    }

    /// The set that is live on the host of `facts`; that of `[app]` unless something else was seen.
    #[must_use]
    pub fn live(&self, facts: &HostFacts) -> &[Instance] {
        facts.instances.first().map_or(&self.app.instances, |one| self.set_of(one.instance))
    }

    /// The set that is not live on the host of `facts`.
    #[must_use]
    pub fn idle(&self, facts: &HostFacts) -> &[Instance] {
        if self.live(facts) == self.app.instances { self.second_set() } else { &self.app.instances }
    }

    /// The tasks that hang on `moment`, in the file's order.
    pub fn tasks_at(&self, moment: Moment) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(move |task| task.at == moment)
    }
}
