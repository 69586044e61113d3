//! What is done on the hosts: the scripts, the data that they get, and what their answers mean.
//!
//! The scripts are files in `scripts/`, plain POSIX `sh`. An operator can read them there, or see them with
//! their data by `shipit plan --commands`.

mod answer;
mod facts;
mod guard;
mod idle;
mod journal;
mod render;
mod route;

use std::time::Duration;

use crate::model::{Host, Inventory, Recipe, Release, Source};
use crate::plan::Action;
use crate::transport::Script;

pub use answer::{judge, was_refused};
pub use facts::{Purpose, look, read_facts};
pub use guard::{Call, GUARD_GRACE, GUARD_LEASE, LockState, LockVerb, Undo, check_post, read_lock, read_post};
pub use journal::{Note, Stamp, history_at_balancer, read_history};
pub use route::{RouteCheck, read_check, read_routed};

/// What every script has.
const COMMON: &str = concat!(include_str!("scripts/common.sh"), include_str!("scripts/fence.sh"));

/// The largest share of a disk's inodes and bytes is known for what is packed here; for the rest this much must be free.
const LEAST_FREE_KB: u64 = 64 * 1024;

/// What all scripts of a deploy are made from.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The environment.
    pub inventory: &'a Inventory,
    /// How the app is shipped.
    pub recipe: &'a Recipe,
}

/// How an archive is packed, by its name.
#[must_use]
pub fn format_of(name: &str) -> Option<&'static str> {
    let endings = [
        (".tar", "tar"),
        (".tar.gz", "gz"),
        (".tgz", "gz"),
        (".tar.bz2", "bz2"),
        (".tar.xz", "xz"),
        (".tar.zst", "zst"),
    ];
    endings.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| format)
}

impl Site<'_> {
    /// The root of the app on `host`.
    #[must_use]
    pub fn root(&self, host: &Host) -> String {
        self.recipe.release.root.plain(&self.scope(host))
    }

    /// The script of `action` on `host`; `None` for what happens on balancers. That of an upload reads the archive.
    #[must_use]
    pub fn script(&self, host: &Host, action: &Action) -> Option<Script> {
        Some(match action {
            Action::Drain | Action::Enable { .. } | Action::Watch | Action::Meet => return None,
            Action::Upload { release } => self.upload(host, release),
            Action::Stage { release } => self.stage(host, release),
            Action::Task { name, release } => self.task(host, name, release)?,
            Action::Activate { release, instances } => self.activate(host, release.as_ref(), instances),
            Action::Health { release, instances } => self.health(host, release.as_ref(), instances),
            Action::Warm { release, instances } => self.warm(host, release, instances),
            Action::Route { to } => self.route(host, to),
            Action::Flip { to } => self.flip(host, to),
            Action::Clear { instances } => self.clear(host, instances)?,
            Action::Stop { instances, after } => self.stop(host, instances, *after)?,
            Action::Confirm { release, keep, replaces, instances } => {
                self.confirm(host, release, *keep, replaces, instances)
            }
        })
    }

    /// The script that takes an archive from its standard input and keeps it on `host`.
    #[must_use]
    pub fn upload(&self, host: &Host, release: &Release) -> Script {
        self.base(host, include_str!("scripts/upload.sh")).with("DIGEST", release.fingerprint.as_str())
    }

    /// How the archive of the recipe's source is packed.
    fn format(&self) -> &'static str {
        match &self.recipe.release.source {
            Source::Git { .. } => "tar",
            Source::Directory(_) => "gz",
            Source::Archive(path) => format_of(&path.to_string_lossy()).unwrap_or("tar"),
            Source::Url { url, .. } => format_of(url.split(['?', '#']).next().unwrap_or(url)).unwrap_or("tar"),
        }
    }
}

/// Whole seconds of `duration`, at least one: what `timeout` and `curl` take everywhere.
fn seconds(duration: Duration) -> String {
    duration.as_secs().max(1).to_string()
}
