//! A fleet: hosts with sshd, nginx and the app, and balancer hosts with haproxy in front of them.

pub mod haproxy;
mod host;
mod layout;
pub mod nginx;
mod probe;
mod project;
mod residents;
mod spec;
pub mod sshd;
mod standin;
mod standing;
mod template;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::app::Behaviour;
use crate::command;
use crate::error::{Error, Result};
use crate::parallel;
use crate::process::Process;
use crate::wait;
use crate::workspace;

pub use host::{Host, Role};
pub use layout::Layout;
pub use probe::Instance;
pub use residents::{Stranger, strangers};
pub use spec::Spec;
pub use standin::run as stand_in;
pub use standing::take_all_down;

/// The scripts that hosts are operated with, as `bin/<name>` of the fleet.
const SCRIPTS: [(&str, &str); 2] =
    [("appctl", include_str!("templates/appctl.sh")), ("nginxctl", include_str!("templates/nginxctl.sh"))];

/// A fleet that stands.
///
/// Dropping it takes it down, unless [`Fleet::leave`] was called: a test that panics leaves nothing behind.
#[derive(Debug)]
pub struct Fleet {
    /// What it was to be.
    pub spec: Spec,
    /// Its files.
    pub layout: Layout,
    /// The x of its addresses, 127.x.0.0/16.
    pub network: u8,
    /// The hosts that run the app.
    pub web: Vec<Host>,
    /// The hosts that run haproxy.
    pub balancers: Vec<Host>,
    temporary: bool,
}

/// haproxy's first check comes within its interval, which is two seconds at most.
const CHECKED_WITHIN: Duration = Duration::from_secs(15);

/// What a later command has to know about a fleet.
#[derive(Serialize, Deserialize)]
struct Record {
    network: u8,
    /// Who made it; as long as that process lives, the fleet is in use, unless it was left standing.
    maker: Option<Process>,
    spec: Spec,
}

impl Record {
    fn path(layout: &Layout) -> PathBuf {
        layout.root.join("fleet.json")
    }

    /// The record of a fleet; nothing if there is no such fleet, or if it was not even begun.
    fn read(layout: &Layout) -> Result<Option<Self>> {
        let path = Self::path(layout);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        serde_json::from_str(&text).map(Some).map_err(|error| Error::content(&path, &error))
    }

    fn write(&self, layout: &Layout) -> Result<()> {
        let path = Self::path(layout);
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::content(&path, &error))?;
        fs::write(&path, text).map_err(Error::file("write", &path))
    }
}

impl Fleet {
    /// Makes a fleet and waits until all of it answers.
    pub fn up(spec: Spec) -> Result<Self> {
        let layout = Layout::of(&spec.name)?;
        if Record::read(&layout)?.is_some() {
            return Err(Error::Refused(format!(
                "there is a fleet `{name}` in {root} already; take it down first: cargo lab down --name {name}",
                name = spec.name,
                root = layout.root.display(),
            )));
        }
        // Without a record nothing was started there.
        layout.remove()?;
        let network = spec::free_network(&spec)?;
        let fleet = Self::assemble(spec, layout, network);
        standing::add(&fleet.layout);
        fleet.build()?;
        Ok(fleet)
    }

    /// Makes a fleet in place of one of the same name that an earlier, interrupted run may have left.
    pub fn renew(spec: Spec) -> Result<Self> {
        let layout = Layout::of(&spec.name)?;
        if let Some(maker) = Record::read(&layout)?.and_then(|record| record.maker)
            && maker.is_alive()
            && Some(maker) != Process::current()
        {
            return Err(Error::Refused(format!("process {} is using the fleet `{}`", maker.pid(), spec.name)));
        }
        take_down(&layout)?;
        Self::up(spec)
    }

    /// The fleet of this name, if it was made.
    pub fn find(name: &str) -> Result<Option<Self>> {
        let layout = Layout::of(name)?;
        let Some(record) = Record::read(&layout)? else { return Ok(None) };
        let mut fleet = Self::assemble(record.spec, layout, record.network);
        fleet.temporary = false;
        Ok(Some(fleet))
    }

    fn assemble(spec: Spec, layout: Layout, network: u8) -> Self {
        let hosts = layout.hosts();
        let numbered = |role, count| (1..=count).map(|number| Host::numbered(role, number, network, &hosts)).collect();
        let web = numbered(Role::Web, spec.hosts);
        let balancers = numbered(Role::Balancer, spec.balancers);
        Self { spec, layout, network, web, balancers, temporary: true }
    }

    fn build(&self) -> Result<()> {
        let hosts = self.hosts();
        self.layout.create(&hosts)?;
        Record { network: self.network, maker: Process::current(), spec: self.spec.clone() }.write(&self.layout)?;
        self.install_programs()?;
        for host in &self.web {
            let path = host.directory.join("address");
            fs::write(&path, format!("{}\n", host.address)).map_err(Error::file("write", &path))?;
            if self.spec.links {
                self.link_sockets(host)?;
            }
        }
        sshd::introduce(&self.layout, &hosts, self.network)?;
        project::write(self)?;
        make_privilege_separation_directory()?;
        parallel::each(&hosts, |host| self.start_host(host))?;
        if self.spec.bare {
            standin::start(&self.layout, &self.web)?;
        }
        self.await_no_server_up()
    }

    /// The links that nginx on `host` finds the app's sockets by, and for `appctl` the directory of both.
    fn link_sockets(&self, host: &Host) -> Result<()> {
        let sockets = &self.layout.sockets;
        let path = host.directory.join("sockets");
        fs::write(&path, format!("{}\n", sockets.display())).map_err(Error::file("write", &path))?;
        let ports = self.spec.ports();
        // What is idle at first leads to those that are not.
        let aims = ports.iter().chain(&ports);
        for (port, aim) in self.spec.all_ports().iter().zip(aims) {
            let link = sockets.join(format!("{}-{port}.link", host.name));
            std::os::unix::fs::symlink(sockets.join(format!("{}-{aim}.sock", host.name)), &link)
                .map_err(Error::file("create", &link))?;
        }
        // Without a command in the recipe, a check asks the `nginx` that the login finds.
        let bin = host.directory.join("home/bin");
        fs::create_dir_all(&bin).map_err(Error::file("create", &bin))?;
        let nginx = format!(
            "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/bin exec {} {} \"$@\"\n",
            self.layout.bin("nginxctl").display(),
            host.name
        );
        write_program(&bin.join("nginx"), &nginx)
    }

    /// Waits until every balancer has seen that no app runs yet: haproxy takes a new server for up until its first check.
    fn await_no_server_up(&self) -> Result<()> {
        for balancer in &self.balancers {
            let socket = self.layout.admin_socket(&balancer.name);
            wait::until(&format!("{} has checked its servers", balancer.name), CHECKED_WITHIN, None, || {
                let servers = haproxy::servers(&socket).ok()?;
                servers.iter().all(|server| server.status == "DOWN").then_some(())
            })?;
        }
        Ok(())
    }

    fn start_host(&self, host: &Host) -> Result<()> {
        sshd::start(&self.layout, host)?;
        match host.role {
            Role::Web if self.spec.bare => return Ok(()),
            Role::Web => nginx::set_up(&self.layout, host, &self.spec)?,
            Role::Balancer => haproxy::start(&self.layout, host, &self.web)?,
        };
        Ok(())
    }

    /// The fleet keeps a link of its own to the lab's binary: a rebuild replaces the one in `target`.
    fn install_programs(&self) -> Result<()> {
        let (binary, installed) = (workspace::lab_binary()?, self.layout.bin("lab"));
        fs::hard_link(&binary, &installed)
            .or_else(|_| fs::copy(&binary, &installed).map(drop))
            .map_err(Error::file("create", &installed))?;
        for (name, script) in SCRIPTS {
            write_program(&self.layout.bin(name), script)?;
        }
        Ok(())
    }

    /// Every host, the balancers last.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        self.web.iter().chain(&self.balancers).cloned().collect()
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Result<Host> {
        let found = self.hosts().into_iter().find(|host| host.name == name);
        found.ok_or_else(|| Error::Refused(format!("the fleet `{}` has no host `{name}`", self.spec.name)))
    }

    /// Where clients go: the frontend of each balancer; without one, the nginx of each host.
    #[must_use]
    pub fn frontends(&self) -> Vec<SocketAddr> {
        let hosts = if self.balancers.is_empty() { &self.web } else { &self.balancers };
        hosts.iter().map(Host::http).collect()
    }

    /// Waits until every balancer sees every server up.
    pub fn await_servers_up(&self, within: Duration) -> Result<()> {
        for balancer in &self.balancers {
            let socket = self.layout.admin_socket(&balancer.name);
            wait::until(&format!("{} sees every server up", balancer.name), within, None, || {
                let servers = haproxy::servers(&socket).ok()?;
                servers.iter().all(|server| server.status == "UP").then_some(())
            })?;
        }
        Ok(())
    }

    /// Changes the app in the project directory: what the next release will hold.
    pub fn write_app(&self, behaviour: &Behaviour, version: &str) -> Result<()> {
        project::write_app(self, behaviour, version)
    }

    /// Starts, stops or restarts an instance of the app.
    pub fn appctl(&self, action: &str, host: &str, port: u16) -> Result<()> {
        command::run(&self.layout.bin("appctl").to_string_lossy(), &[action, host, &port.to_string()]).map(drop)
    }

    /// Ends a host's nginx in order and starts it again.
    pub fn restart_nginx(&self, host: &Host) -> Result<()> {
        nginx::restart(&self.layout, host)
    }

    /// Starts a host's sshd again, after it was stopped to make the host unreachable.
    pub fn start_sshd(&self, host: &Host) -> Result<()> {
        sshd::start(&self.layout, host).map(drop)
    }

    /// Lets it stand when this value goes; `cargo lab down` takes it down.
    pub fn leave(mut self) -> Result<()> {
        self.temporary = false;
        standing::remove(&self.layout);
        Record { network: self.network, maker: None, spec: self.spec.clone() }.write(&self.layout)
    }

    /// Ends everything that runs in the fleet, and removes its files.
    pub fn down(mut self) -> Result<()> {
        self.temporary = false;
        take_down(&self.layout)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = take_down(&self.layout)
        {
            eprintln!("lab: {error}");
        }
    }
}

fn write_program(path: &Path, script: &str) -> Result<()> {
    fs::write(path, script).map_err(Error::file("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(Error::file("write", path))
}

fn take_down(layout: &Layout) -> Result<()> {
    residents::end_all(layout)?;
    layout.remove()?;
    standing::remove(layout);
    Ok(())
}

/// sshd started by root refuses to start without it; the package's service makes it, and that does not run here.
fn make_privilege_separation_directory() -> Result<()> {
    let path = Path::new("/run/sshd");
    if rustix::process::getuid().is_root() && !path.exists() {
        fs::create_dir(path).map_err(Error::file("create", path))?;
    }
    Ok(())
}
