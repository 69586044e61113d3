//! Who lives in a fleet: the processes that were started in it, and how all of them are ended.
//!
//! Two kinds are known. Those that the lab or `appctl` started have a pid file. Those that came over ssh carry the host's
//! address in `SSH_CONNECTION`, which a process passes on to its children wherever they hide: a guard that somebody's deploy
//! left behind is found by it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Fleet, Layout, Record};
use crate::error::{Error, Result};
use crate::process::Process;

/// Nothing in a fleet ignores SIGKILL for longer.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// A process that does not belong to the fleet.
#[derive(Debug, Clone)]
pub struct Stranger {
    /// The process.
    pub process: Process,
    /// Its command line.
    pub command: String,
}

/// The processes that the fleet itself consists of, by their pid files.
fn recorded(layout: &Layout) -> Vec<Process> {
    let hosts = fs::read_dir(layout.hosts()).into_iter().flatten().flatten();
    let files = hosts.flat_map(|host| fs::read_dir(host.path().join("run")).into_iter().flatten().flatten());
    let pid_files = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|ending| ending == "pid"));
    pid_files.filter_map(|path: PathBuf| Process::recorded(&path)).collect()
}

/// The processes that came over ssh and are not the fleet's own.
fn visitors(own: &[Process], network: u8) -> impl Iterator<Item = Process> {
    let here = format!(" 127.{network}.");
    let visits = move |process: &Process| {
        let connection = process.variable("SSH_CONNECTION");
        connection.is_some_and(|connection| connection.contains(&here))
    };
    Process::all().into_iter().filter(move |process| !own.contains(process) && visits(process))
}

/// Who is in the fleet, or on the way to it, and does not belong there: sessions, guards that somebody's deploy left
/// behind, and on this side ssh processes with an address of the fleet in their command line.
///
/// After a deploy there is nobody.
#[must_use]
pub fn strangers(fleet: &Fleet) -> Vec<Stranger> {
    let recorded = recorded(&fleet.layout);
    let own = Process::families(recorded.clone());
    let sessions = own.iter().filter(|process| process.command_line().starts_with("sshd: "));
    let (config, address) = (fleet.layout.ssh_config(), format!("127.{}.", fleet.network));
    let towards = |process: &Process| {
        let line = process.command_line();
        let named = line.contains(&address) || line.contains(&*config.to_string_lossy());
        line.split([' ', ':']).next().is_some_and(|program| program.ends_with("ssh")) && named
    };
    let clients = Process::all().into_iter().filter(|process| !own.contains(process) && towards(process));
    let found = sessions.filter(|session| !recorded.contains(session)).copied();
    let found = found.chain(visitors(&own, fleet.network)).chain(clients);
    found.map(|process| Stranger { process, command: process.command_line() }).collect()
}

/// Ends everything that lives in the fleet, and makes sure of it.
pub(super) fn end_all(layout: &Layout) -> Result<()> {
    // Sessions are children of an sshd that would not take them along.
    let own = Process::families(recorded(layout));
    let network = Record::read(layout)?.map(|record| record.network);
    let visitors: Vec<Process> = network.into_iter().flat_map(|network| visitors(&own, network)).collect();
    let all = [own, visitors].concat();
    crate::parallel::each(&all, |process| {
        process.end();
        process.await_end(GONE_WITHIN)
    })?;
    let left: Vec<Process> = recorded(layout);
    if left.is_empty() {
        return Ok(());
    }
    let pids: Vec<String> = left.iter().map(|process| process.pid().to_string()).collect();
    Err(Error::Failed(format!("processes of the fleet still run: {}", pids.join(", "))))
}
