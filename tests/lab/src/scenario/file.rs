//! The format of a scenario's file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toml::Table;

use super::faults::Faults;
use crate::app::Behaviour;
use crate::error::{Error, Result};
use crate::fleet::Spec;
use crate::span;

/// A scenario.
///
/// The good old release is deployed first; then the faults are set up; then the runs follow, and then all is judged.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// One sentence: what is shown here.
    pub about: String,
    /// Whether it takes so long that it is left to CI.
    #[serde(default)]
    pub long: bool,
    /// The fleet.
    #[serde(default)]
    pub fleet: Size,
    /// How the release behaves that runs at first.
    #[serde(default)]
    pub old: Behaviour,
    /// How the release behaves that is deployed then.
    #[serde(default)]
    pub new: Behaviour,
    /// What is wrong with the fleet by then.
    #[serde(default)]
    pub faults: Faults,
    /// What the inventory says differently, from the second deploy on.
    #[serde(default)]
    pub inventory: Table,
    /// What the recipe says differently, from the second deploy on.
    #[serde(default)]
    pub recipe: Table,
    /// Whether clients send requests meanwhile; then none may be lost.
    #[serde(default = "yes")]
    pub load: bool,
    /// So many clients hold a stream open meanwhile: events of the server, and every other one a websocket. That one ends is no loss; see `streams-ended`.
    #[serde(default)]
    pub streams: usize,
    /// The runs of shipit, one after the other.
    pub run: Vec<Run>,
    /// How the fleet must be found in the end.
    #[serde(default)]
    pub expect: Expect,
}

/// The numbers of a fleet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Size {
    hosts: u8,
    balancers: u8,
    instances: u8,
    links: bool,
    preboot: bool,
}

impl Default for Size {
    fn default() -> Self {
        Self { hosts: 3, balancers: 1, instances: 2, links: false, preboot: false }
    }
}

impl Size {
    /// A fleet of this size.
    pub fn spec(&self) -> Spec {
        let Self { hosts, balancers, instances, links, preboot } = *self;
        Spec { hosts, balancers, instances, links, preboot, ..Spec::named("scenario") }
    }
}

/// One run of shipit.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Run {
    /// Shell that is run in the fleet's directory beforehand, with hosts below `hosts`.
    pub before: Option<String>,
    /// Its arguments; `{release new}` is the id of the release that behaves as `new`.
    pub arguments: Vec<String>,
    /// Its exit code; minus a signal's number if that is to end it.
    pub exit: i32,
    /// What it says on standard error.
    #[serde(default)]
    pub stderr_contains: Vec<String>,
    /// What it does not say there.
    #[serde(default)]
    pub stderr_lacks: Vec<String>,
    /// What it says on standard output.
    #[serde(default)]
    pub stdout_contains: Vec<String>,
    /// Whether streams ended meanwhile; they may if it is not said.
    pub streams_ended: Option<bool>,
    /// Sends it SIGTERM when a file is there.
    pub terminated_at: Option<Terminated>,
    /// Kills it when the file at this path in the fleet's directory is there.
    pub killed_at: Option<String>,
    /// A host's nginx is restarted when the file is there.
    pub nginx_restarted_at: Option<AtFile>,
    /// Kills it this long after its start.
    #[serde(default, deserialize_with = "optional_span")]
    pub killed_after: Option<Duration>,
    /// Reloads haproxy on every balancer this long after its start.
    #[serde(default, deserialize_with = "optional_span")]
    pub haproxy_reloaded_after: Option<Duration>,
    /// An operator takes a server out meanwhile.
    #[serde(default)]
    pub maintenance: Option<Maintenance>,
}

/// Something happens on a host when a file is there, which a step of the deploy makes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AtFile {
    /// Which host.
    pub host: String,
    /// The file, in the fleet's directory.
    pub file: String,
}

/// Somebody wants an end of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Terminated {
    /// The file, in the fleet's directory.
    pub file: String,
    /// How many times, a moment apart.
    pub times: u32,
}

/// An operator puts a server into `maint` on every balancer, while shipit runs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Maintenance {
    /// Which.
    pub server: String,
    /// This long after shipit's start.
    #[serde(with = "span")]
    pub after: Duration,
}

/// How the fleet must be found in the end. Host names are keys; `*` stands for every host that is not named.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Expect {
    /// The release that the processes of a host are of: `old`, `new`, or `none` if they do not answer.
    pub releases: BTreeMap<String, String>,
    /// The release that `current` names on a host; as `releases` if it is not said.
    pub current: BTreeMap<String, String>,
    /// The release in a host's idle instances, in the same words; `none` unless it is said.
    pub idle: BTreeMap<String, String>,
    /// The instances that a host's nginx sends nothing to, though they are not idle; none unless it is said.
    pub left_out: BTreeMap<String, Vec<u16>>,
    /// The state of a host's server on every balancer, in haproxy's words: `UP`, `DOWN`, `DRAIN`, `MAINT`, or `none`.
    pub servers: BTreeMap<String, String>,
}

impl Default for Expect {
    fn default() -> Self {
        let all = |word: &str| BTreeMap::from([("*".to_owned(), word.to_owned())]);
        Self {
            releases: all("new"),
            current: BTreeMap::new(),
            idle: all("none"),
            left_out: BTreeMap::new(),
            servers: all("UP"),
        }
    }
}

impl Scenario {
    /// Reads a scenario's file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
        toml::from_str(&text).map_err(|error| Error::content(path, &error))
    }
}

fn yes() -> bool {
    true
}

fn optional_span<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    span::deserialize(deserializer).map(Some)
}
