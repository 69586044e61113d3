//! The inventory: an environment's hosts, balancers and limits.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Amount, BackendName, EnvironmentName, Host, HostName, RecipeName, Role, StrategyName, Template};

/// `inventories/ENV.toml`, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The file's name without its ending.
    pub environment: EnvironmentName,
    /// Which recipe ships the app here.
    pub recipe: RecipeName,
    /// The strategy unless the command line says otherwise.
    pub strategy: StrategyName,
    /// On a terminal, ask before changing anything.
    pub protected: bool,
    /// How hosts are reached.
    pub ssh: SshSpec,
    /// How much may be out at once, and what must stay.
    pub limits: LimitSpec,
    /// All hosts, in the file's order, ranges written out.
    pub hosts: Vec<Host>,
    /// What spreads traffic over them.
    pub balancers: Vec<BalancerSpec>,
    /// Values for `{vars.NAME}`.
    pub vars: BTreeMap<String, String>,
}

/// How hosts are reached; all else is OpenSSH's own configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshSpec {
    /// The login, unless ssh's configuration is to say it.
    pub user: Option<String>,
    /// An `ssh_config` used instead of the user's and the system's, as `ssh -F` does.
    pub config: Option<PathBuf>,
}

/// The limits as written, before the number of hosts is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSpec {
    /// Most hosts out of service at once.
    pub max_in_flight: Amount,
    /// Fewest hosts in service at any time.
    pub min_serving: Amount,
    /// Failed hosts that do not stop a deploy.
    pub max_failures: Amount,
}

impl Default for LimitSpec {
    /// One host at a time, never the last one, and the first failure stops.
    fn default() -> Self {
        Self { max_in_flight: Amount::Count(1), min_serving: Amount::Count(1), max_failures: Amount::Count(0) }
    }
}

/// The kinds of balancer that shipit can drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalancerKind {
    /// haproxy, by its runtime socket.
    Haproxy,
}

/// One backend on the hosts of a role.
#[derive(Debug, Clone, PartialEq)]
pub struct BalancerSpec {
    /// What kind it is.
    pub kind: BalancerKind,
    /// The hosts that run it; every one of them is drained and enabled as one unit.
    pub role: Role,
    /// Path of the runtime socket on those hosts; `{host}` is the balancer host.
    pub socket: Template,
    /// The backend's name.
    pub backend: BackendName,
    /// An app host's name in that backend.
    pub server: Template,
    /// The role that it balances.
    pub serves: Role,
}

impl Inventory {
    /// The host called `name`.
    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == *name)
    }

    /// The hosts that have `role`, in the file's order.
    pub fn with_role<'a>(&'a self, role: &'a Role) -> impl Iterator<Item = &'a Host> {
        self.hosts.iter().filter(move |host| host.roles.contains(role))
    }

    /// The balancers that send traffic to `host`.
    pub fn balancers_of<'a>(&'a self, host: &'a Host) -> impl Iterator<Item = &'a BalancerSpec> {
        self.balancers.iter().filter(move |balancer| host.roles.contains(&balancer.serves))
    }
}
