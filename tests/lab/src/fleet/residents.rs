//! Who lives in a fleet: the processes that were started in it, and how all of them are ended.
//!
//! Two kinds are known. Those that the lab or `appctl` started have a pid file. Those that came over ssh carry the host's
//! address in `SSH_CONNECTION`, which a process passes on to its children wherever they hide: a guard that somebody's deploy
//! left behind is found by it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::Layout;
use crate::error::{Error, Result};
use crate::process::Process;

/// Nothing in a fleet ignores SIGKILL for longer.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// A process that lives in a fleet.
#[derive(Debug, Clone)]
pub struct Resident {
    /// The process.
    pub process: Process,
    /// Its command line.
    pub command: String,
}

/// The processes that the fleet itself consists of, by their pid files.
fn recorded(layout: &Layout) -> Vec<Process> {
    let hosts = fs::read_dir(layout.hosts()).into_iter().flatten().flatten();
    let files = hosts.flat_map(|host| {
        fs::read_dir(host.path().join("run"))
            .into_iter()
            .flatten()
            .flatten()
    });
    let pid_files = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "pid"));
    pid_files
        .filter_map(|path: PathBuf| Process::recorded(&path))
        .collect()
}

/// The processes that came over ssh and are neither the fleet's own nor on their way out with a session.
///
/// After a deploy there are none: what is listed here was left behind.
#[must_use]
pub fn residents(layout: &Layout, network: u8) -> Vec<Resident> {
    let own = Process::families(recorded(layout));
    let here = format!(" 127.{network}.");
    let strangers = Process::all()
        .into_iter()
        .filter(|process| !own.contains(process));
    strangers
        .filter(|process| {
            process
                .variable("SSH_CONNECTION")
                .is_some_and(|connection| connection.contains(&here))
        })
        .map(|process| Resident {
            process,
            command: process.command_line(),
        })
        .collect()
}

/// Ends everything that lives in the fleet, and makes sure of it.
pub(super) fn end_all(layout: &Layout) -> Result<()> {
    // Sessions are children of an sshd that would not take them along.
    let own = Process::families(recorded(layout));
    let strangers = network_of(layout)
        .map(|network| residents(layout, network))
        .unwrap_or_default();
    let all: Vec<Process> = own
        .into_iter()
        .chain(strangers.into_iter().map(|resident| resident.process))
        .collect();
    crate::parallel::each(&all, |process| {
        process.end();
        process.await_end(GONE_WITHIN)
    })?;
    let left: Vec<Process> = recorded(layout);
    if left.is_empty() {
        return Ok(());
    }
    let pids: Vec<String> = left
        .iter()
        .map(|process| process.pid().to_string())
        .collect();
    Err(Error::Failed(format!(
        "processes of the fleet still run: {}",
        pids.join(", ")
    )))
}

fn network_of(layout: &Layout) -> Option<u8> {
    let text = fs::read_to_string(layout.root.join("fleet.json")).ok()?;
    let record: super::Record = serde_json::from_str(&text).ok()?;
    Some(record.network)
}
