//! What a look at the fleet showed. It may be stale by the time it is read; plans are made from it, safety is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Address, BackendName, BalancerSpec, Fingerprint, Host, HostName, Instance, Inventory, Recipe, Release, ReleaseId,
    Scope, ServerName,
};

/// A snapshot of the fleet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// The app's hosts.
    pub hosts: BTreeMap<HostName, HostFacts>,
    /// The balancers, one entry for each backend on each balancer host.
    pub balancers: Vec<BalancerFacts>,
}

/// What was seen on one host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HostFacts {
    /// Whether it could be reached.
    pub reach: Reach,
    /// What `current` points at.
    #[serde(default)]
    pub current: Option<ReleaseId>,
    /// The complete releases on it.
    #[serde(default)]
    pub releases: Vec<Release>,
    /// The releases that a run has confirmed there, the newest last; one may be there more than once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmed: Vec<ReleaseId>,
    /// The releases that were rolled back from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad: Vec<BadRelease>,
    /// The app's processes; where there are two sets of instances, those of the set that is live.
    #[serde(default)]
    pub instances: Vec<InstanceFacts>,
    /// Those of the other set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<InstanceFacts>,
    /// How much longer an old release is kept warm in the idle set, if an end is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_for: Option<Duration>,
    /// The memory that new processes could have, in kB, as far as it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_memory: Option<u64>,
    /// The instances that the local nginx sends traffic to; none where there is no `[hotswap]`, or where that can't be told.
    #[serde(default)]
    pub routed: Vec<Instance>,
    /// Whether the archive that is to be shipped is there from an earlier deploy.
    #[serde(default)]
    pub archive_cached: bool,
    /// What stands in the way of a deploy.
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// What does not stand in the way, and costs something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
}

/// A release that somebody went back from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BadRelease {
    /// Which.
    pub id: ReleaseId,
    /// What it is made of: the same under another name is no better.
    pub fingerprint: Fingerprint,
    /// When, in UTC.
    #[serde(default)]
    pub time: String,
    /// Who it was.
    #[serde(default)]
    pub who: String,
}

/// Whether a host could be reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Yes.
    #[default]
    Reached,
    /// No, for this reason.
    Unreachable(String),
}

/// One process of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InstanceFacts {
    /// Which one.
    pub instance: Instance,
    /// The release of the process that listens there; `None` if nothing listens or the release can't be told.
    #[serde(default)]
    pub running: Option<ReleaseId>,
    /// Whether its health check passed.
    pub healthy: bool,
    /// The memory that its processes have, in kB, as far as it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// Something that stands in the way of a deploy, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// One backend on one balancer host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BalancerKey {
    /// The balancer host.
    pub host: HostName,
    /// The backend.
    pub backend: BackendName,
}

/// What was seen of one backend on one balancer host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BalancerFacts {
    /// Which one.
    #[serde(flatten)]
    pub key: BalancerKey,
    /// Whether it could be reached.
    #[serde(default)]
    pub reach: Reach,
    /// Its servers by name.
    #[serde(default)]
    pub servers: BTreeMap<ServerName, ServerFacts>,
    /// What stands in the way of a deploy.
    #[serde(default)]
    pub problems: Vec<Problem>,
}

/// One server of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerFacts {
    /// What somebody asked of it.
    pub state: ServerState,
    /// Whether the balancer would send it traffic if it is `Ready`: its checks pass, or it has none.
    pub up: bool,
    /// Its share of the traffic; with 0 it gets none.
    pub weight: u32,
    /// The balancer checks it.
    pub checked: bool,
    /// The balancer's own words for its status, such as `UP 1/3`.
    pub status: String,
    /// Where the balancer sends its traffic.
    #[serde(default)]
    pub address: String,
    /// Clients stick to it by a cookie.
    #[serde(default)]
    pub sticky: bool,
}

/// haproxy's admin states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerState {
    /// Takes traffic.
    Ready,
    /// Takes no new traffic; is still checked.
    Drain,
    /// Out, and not checked.
    Maint,
}

/// What an enabled host is waited for to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// Told so: the state that it had before, when it did not serve then either.
    Ready,
    /// Up: the balancers' own checks have passed.
    Up,
}

/// The balancers' live view: the hosts that take traffic on *every* balancer that serves them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct View {
    /// Those hosts.
    pub serving: BTreeSet<HostName>,
}

impl fmt::Display for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        })
    }
}

impl Problem {
    /// A problem and the way out.
    pub fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: Some(help.into()) }
    }
}

impl ServerFacts {
    /// Whether it takes new requests now.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.state == ServerState::Ready && self.up
    }
}

impl HostFacts {
    /// The one release that all instances run, if they agree.
    #[must_use]
    pub fn running(&self) -> Option<&ReleaseId> {
        let (first, rest) = self.instances.split_first()?;
        let release = first.running.as_ref()?;
        rest.iter().all(|one| one.running.as_ref() == Some(release)).then_some(release)
    }

    /// Whether some of the instances run `release`, and others do not.
    #[must_use]
    pub fn runs_partly(&self, release: &ReleaseId) -> bool {
        let runs = |one: &InstanceFacts| one.running.as_ref() == Some(release);
        self.instances.iter().any(runs) && !self.instances.iter().all(runs)
    }

    /// Whether every instance passed its health check.
    #[must_use]
    pub fn healthy(&self) -> bool {
        !self.instances.is_empty() && self.instances.iter().all(|one| one.healthy)
    }

    /// The instances that the local nginx sends nothing to, as far as that can be told.
    pub fn unrouted(&self) -> impl Iterator<Item = Instance> + '_ {
        let known = !self.routed.is_empty();
        self.instances.iter().map(|one| one.instance).filter(move |one| known && !self.routed.contains(one))
    }

    /// The instances of the idle set that the local nginx sends traffic to all the same.
    pub fn strays(&self) -> impl Iterator<Item = Instance> + '_ {
        self.idle.iter().map(|one| one.instance).filter(|one| self.routed.contains(one))
    }

    /// Whether the local nginx sends traffic to other instances than the live ones, as far as that can be told.
    #[must_use]
    pub fn is_misrouted(&self) -> bool {
        self.unrouted().next().is_some() || self.strays().next().is_some()
    }

    /// The same facts with the two sets of instances told apart. The `second` set is live where the local nginx sends traffic to
    /// it alone; before the first preboot, and where that can't be told, the other one is.
    #[must_use]
    pub fn split(mut self, second: &[Instance]) -> Self {
        let of_second = |one: &Instance| second.contains(one);
        let swapped = !self.routed.is_empty() && self.routed.iter().all(of_second);
        let all = std::mem::take(&mut self.instances);
        (self.instances, self.idle) = all.into_iter().partition(|one| of_second(&one.instance) == swapped);
        self
    }

    /// Whether those who come by the local nginx get answers: every instance that it sends traffic to is healthy.
    fn serves_alone(&self) -> bool {
        let mut routed = self.instances.iter().filter(|one| self.unrouted().all(|out| out != one.instance)).peekable();
        routed.peek().is_some() && routed.all(|one| one.healthy)
    }
}

impl Observation {
    /// Which balancers say what about whom.
    #[must_use]
    pub fn servers<'a>(&'a self, inventory: &'a Inventory) -> Servers<'a> {
        let facts = |spec: &BalancerSpec| {
            let hosts: BTreeSet<_> = inventory.with_role(&spec.role).map(|host| &host.name).collect();
            let of_spec = |facts: &&BalancerFacts| facts.key.backend == spec.backend && hosts.contains(&facts.key.host);
            self.balancers.iter().filter(of_spec).collect()
        };
        Servers { inventory, balancers: inventory.balancers.iter().map(|spec| (spec, facts(spec))).collect() }
    }

    /// The hosts of the app that take traffic: ready and up on every balancer that serves them.
    ///
    /// A host without a balancer is taken to serve if the instances are healthy that get traffic.
    #[must_use]
    pub fn view(&self, inventory: &Inventory, recipe: &Recipe) -> View {
        let entries = self.servers(inventory);
        let serves = |host: &&Host| {
            let mut own = entries.of(host).peekable();
            if own.peek().is_none() {
                return self.hosts.get(&host.name).is_some_and(HostFacts::serves_alone);
            }
            own.all(|(facts, name)| facts.servers.get(&name).is_some_and(ServerFacts::serves))
        };
        View { serving: inventory.with_role(&recipe.app.role).filter(serves).map(|host| host.name.clone()).collect() }
    }
}

/// The balancers' entries, by what they are of.
#[derive(Debug, Clone)]
pub struct Servers<'a> {
    inventory: &'a Inventory,
    balancers: Vec<(&'a BalancerSpec, Vec<&'a BalancerFacts>)>,
}

impl<'a> Servers<'a> {
    /// The entries of the balancers that serve `host`, each with the name of its server there.
    pub fn of<'s>(&'s self, host: &'s Host) -> impl Iterator<Item = (&'a BalancerFacts, ServerName)> + use<'a, 's> {
        self.balancers.iter().filter(|(spec, _)| host.roles.contains(&spec.serves)).flat_map(move |(spec, facts)| {
            let scope = Scope {
                host,
                environment: &self.inventory.environment,
                vars: &self.inventory.vars,
                instance: None,
                release: None,
            };
            let name: Option<ServerName> = spec.server.plain(&scope).parse().ok();
            facts.iter().filter_map(move |facts| name.clone().map(|name| (*facts, name)))
        })
    }
}

impl ServerFacts {
    /// Whether the balancer sends this server's traffic to `address`, when both are IP addresses.
    #[must_use]
    pub fn is_at(&self, address: &Address) -> bool {
        match (self.address.parse::<std::net::IpAddr>(), address.as_str().parse::<std::net::IpAddr>()) {
            (Ok(here), Ok(there)) => here == there,
            _ => true,
        }
    }
}
