//! What is run afterwards, and what has to come of it.

use std::fs;
use std::path::Path;

use super::{Error, Fleet, Result};
use crate::shipit::{Origin, Outcome, Output, Shipit};

/// What is run afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Then {
    /// A deploy of yet another release.
    Deploy,
    /// Finishing what was cut off.
    Resume,
    /// Going back.
    Rollback,
    /// Going back from a new directory, in which there are inventories and recipes, and nothing that any run has left.
    RollbackFromElsewhere,
}

/// The releases that a fleet may run now, by their versions.
#[derive(Debug, Clone)]
pub(super) struct Stand {
    /// What it ran when all was well.
    pub(super) before: String,
    /// What the deploy was about that something befell; the last one, if there were two.
    pub(super) wanted: String,
    /// What the first of two was about, if a host had confirmed it when it was killed: the second one replaced that.
    pub(super) confirmed: Option<String>,
}

impl Then {
    /// Whether it was right to lead to `found`. Before the release was on all hosts, that depends on what had been written down: if
    /// nothing was, there is nothing to resume, and a rollback goes back from what was there before.
    pub(super) fn may_lead_to(self, found: &str, stand: &Stand, newest: &str, staged: bool) -> bool {
        match self {
            Self::Deploy => found == newest,
            Self::Resume => found == stand.wanted || (!staged && found == stand.before),
            Self::Rollback | Self::RollbackFromElsewhere => {
                found == stand.before || stand.confirmed.as_deref() == Some(found) || (!staged && found != stand.wanted)
            }
        }
    }

    /// Does it.
    pub(super) fn run(self, shipit: &Shipit, fleet: &Fleet, strategy: &str) -> Result<Outcome> {
        let ours = Origin::of(fleet);
        let run = |origin: &Origin, arguments: &[&str]| shipit.run_watched(origin, arguments, Output::Kept, |_| Ok(()));
        match self {
            Self::Deploy => run(&ours, &["deploy", "lab", "--strategy", strategy, "--yes"]),
            Self::Resume => run(&ours, &["resume", "lab", "--yes"]),
            Self::Rollback => run(&ours, &["rollback", "lab", "--yes"]),
            Self::RollbackFromElsewhere => run(&elsewhere(fleet, "new", false)?, &["rollback", "lab", "--yes"]),
        }
    }
}

/// Another directory to run shipit from: inventories and recipes, and the app if it is to be deployed from there.
pub(super) fn elsewhere(fleet: &Fleet, name: &str, with_app: bool) -> Result<Origin> {
    let (from, root) = (fleet.layout.project(), fleet.layout.root.join("elsewhere").join(name));
    if root.exists() {
        fs::remove_dir_all(&root).map_err(Error::file("remove", &root))?;
    }
    let origin = Origin { project: root.join("project"), state: root.join("state") };
    let app = if with_app { &["app"][..] } else { &[] };
    for directory in ["inventories", "recipes"].iter().chain(app) {
        copy_files(&from.join(directory), &origin.project.join(directory))?;
    }
    // It belongs to the inventory, which names it.
    let config = origin.project.join("ssh_config");
    fs::copy(fleet.layout.ssh_config(), &config).map_err(Error::file("write", &config))?;
    Ok(origin)
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(Error::file("create", to))?;
    for entry in fs::read_dir(from).map_err(Error::file("read", from))?.flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).map_err(Error::file("write", to))?;
    }
    Ok(())
}
