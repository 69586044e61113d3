//! A host of a fleet: a name, an address, and a directory that is its disk.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::spec::{FRONTEND_PORT, SSH_PORT, WEB_PORT};

/// What a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It runs the app behind nginx.
    Web,
    /// It runs haproxy.
    Balancer,
}

/// One host.
#[derive(Debug, Clone)]
pub struct Host {
    /// `web1`, `lb1`.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its own loopback address.
    pub address: Ipv4Addr,
    /// Everything that is its own.
    pub directory: PathBuf,
}

impl Host {
    /// The n-th host of a role, counted from one, in the network 127.x.
    #[must_use]
    pub fn numbered(role: Role, number: u8, network: u8, hosts: &Path) -> Self {
        let (name, subnet) = match role {
            Role::Web => (format!("web{number}"), 0),
            Role::Balancer => (format!("lb{number}"), 1),
        };
        let directory = hosts.join(&name);
        Self { name, role, address: Ipv4Addr::new(127, network, subnet, number), directory }
    }

    /// Where its sshd listens.
    #[must_use]
    pub fn ssh(&self) -> SocketAddr {
        (self.address, SSH_PORT).into()
    }

    /// Where its nginx or its haproxy listens.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        let port = if self.role == Role::Web { WEB_PORT } else { FRONTEND_PORT };
        (self.address, port).into()
    }

    /// The release root: what a real host has below `/srv/app`.
    #[must_use]
    pub fn srv(&self) -> PathBuf {
        self.directory.join("srv")
    }

    /// A log file of it.
    #[must_use]
    pub fn log(&self, program: &str) -> PathBuf {
        self.directory.join(format!("log/{program}.log"))
    }

    /// The pid file of a program on it; see [`crate::process`] for what is inside.
    #[must_use]
    pub fn pid_file(&self, program: &str) -> PathBuf {
        self.directory.join(format!("run/{program}.pid"))
    }
}
