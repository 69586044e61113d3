//! What can be wrong with a fleet when shipit comes to it. Every fault is done to the real server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde::Deserialize;

use crate::command;
use crate::error::{Error, Result};
use crate::fleet::{Fleet, haproxy, sshd};
use crate::process::Process;
use crate::wait;

/// haproxy needs three failed checks, half a second apart.
const DOWN_WITHIN: Duration = Duration::from_secs(10);

/// Enough for the old release and for the space that shipit asks for beforehand, and soon full.
const SMALL_DISK: &str = "size=96m,nr_inodes=200,mode=755";

/// What real sudo does for a login that sudoers names: `-n COMMAND` runs it, `-n -l -- COMMAND` says yes. A machine that runs
/// the lab need not have sudo, and must not have its sudoers changed.
const OBLIGING_SUDO: &str = "#!/bin/sh\nshift\n[ \"$1\" = -l ] || exec \"$@\"\n";

/// And for one that it does not name.
const REFUSING_SUDO: &str = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n";

/// What is wrong; each value is the names of the hosts that suffer it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Faults {
    /// Nobody answers where the host's sshd was.
    host_down: Vec<String>,
    /// Its sshd shows another key than the one that is known.
    host_key_changed: Vec<String>,
    /// Not a block is free below its release root. Needs root.
    disk_full: Vec<String>,
    /// There are free blocks there, but no file can be made: no free inode. Needs root.
    no_inodes: Vec<String>,
    /// The app does not run there, and every balancer has noticed.
    server_down: Vec<String>,
    /// An operator has drained its server on every balancer.
    server_drained_by_operator: Vec<String>,
    /// No balancer knows its server.
    server_unknown: Vec<String>,
    /// Its sudo asks for a password; that of all other hosts does not.
    sudo_refuses: Vec<String>,
}

impl Faults {
    /// Why these faults cannot be set up on this machine.
    pub fn impossible_here(&self) -> Option<String> {
        let needs_root = self.small_disks().next().is_some() && !rustix::process::getuid().is_root();
        needs_root.then(|| "needs root, for a disk of its own".into())
    }

    fn small_disks(&self) -> impl Iterator<Item = &String> {
        self.disk_full.iter().chain(&self.no_inodes)
    }

    /// What has to be done before anything is deployed: disks are small from the start.
    pub fn prepare(&self, fleet: &Fleet) -> Result<()> {
        for host in self.small_disks() {
            let directory = fleet.host(host)?.srv();
            command::run("mount", &["-t", "tmpfs", "-o", SMALL_DISK, "lab", &directory.to_string_lossy()])?;
        }
        if !self.sudo_refuses.is_empty() {
            fleet.web.iter().try_for_each(|host| give_sudo(&host.directory, OBLIGING_SUDO))?;
        }
        Ok(())
    }

    /// Sets up the faults, on a fleet that runs the old release.
    pub fn strike(&self, fleet: &Fleet) -> Result<()> {
        for host in &self.host_down {
            stop_sshd(fleet, host)?;
        }
        for host in &self.host_key_changed {
            let key = fleet.host(host)?.directory.join("ssh_host_key");
            stop_sshd(fleet, host)?;
            sshd::generate_key(&key)?;
            fleet.start_sshd(&fleet.host(host)?)?;
        }
        for host in &self.disk_full {
            fill(&fleet.host(host)?.srv())?;
        }
        for host in &self.no_inodes {
            crowd(&fleet.host(host)?.srv())?;
        }
        for server in &self.server_drained_by_operator {
            on_every_balancer(fleet, &[format!("set server app/{server} state drain")])?;
        }
        for server in &self.server_unknown {
            // haproxy deletes a server only in maintenance.
            let maintenance = format!("set server app/{server} state maint");
            on_every_balancer(fleet, &[maintenance, format!("del server app/{server}")])?;
        }
        for host in &self.sudo_refuses {
            give_sudo(&fleet.host(host)?.directory, REFUSING_SUDO)?;
        }
        for server in &self.server_down {
            stop_app(fleet, server)?;
        }
        Ok(())
    }
}

fn give_sudo(directory: &Path, script: &str) -> Result<()> {
    let bin = directory.join("home/bin");
    let path = bin.join("sudo");
    fs::create_dir_all(&bin).map_err(Error::file("create", &bin))?;
    fs::write(&path, script).map_err(Error::file("write", &path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(Error::file("write", &path))
}

fn stop_sshd(fleet: &Fleet, host: &str) -> Result<()> {
    let sshd = Process::recorded(&fleet.host(host)?.pid_file("sshd"));
    for process in Process::families(sshd.into_iter().collect()) {
        process.signal(Signal::KILL);
        process.await_end(DOWN_WITHIN)?;
    }
    Ok(())
}

fn fill(directory: &Path) -> Result<()> {
    let filler = directory.join("filler");
    let block = [0; 4096];
    let mut file = fs::File::create(&filler).map_err(Error::file("create", &filler))?;
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
    Ok(())
}

/// Makes empty files until there are no inodes for more.
fn crowd(directory: &Path) -> Result<()> {
    let crowd = directory.join("crowd");
    fs::create_dir(&crowd).map_err(Error::file("create", &crowd))?;
    let made = (0..).take_while(|number: &u32| fs::File::create(crowd.join(number.to_string())).is_ok());
    made.for_each(drop);
    Ok(())
}

fn stop_app(fleet: &Fleet, server: &str) -> Result<()> {
    for port in fleet.spec.ports() {
        fleet.appctl("stop", server, port)?;
    }
    for balancer in &fleet.balancers {
        let socket = fleet.layout.admin_socket(&balancer.name);
        wait::until(&format!("{} sees {server} down", balancer.name), DOWN_WITHIN, None, || {
            let servers = haproxy::servers(&socket).ok()?;
            servers.iter().any(|state| state.name == server && state.status == "DOWN").then_some(())
        })?;
    }
    Ok(())
}

/// Sends commands to every haproxy; an empty answer is its yes.
pub(super) fn on_every_balancer(fleet: &Fleet, requests: &[String]) -> Result<()> {
    for balancer in &fleet.balancers {
        for request in requests {
            let answer = haproxy::ask(&fleet.layout.admin_socket(&balancer.name), request)?;
            if !answer.is_empty() && !answer.contains("deleted") {
                return Err(Error::Failed(format!("haproxy on {} says to `{request}`: {answer}", balancer.name)));
            }
        }
    }
    Ok(())
}
