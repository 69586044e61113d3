//! `app.toml`: how a release of the app behaves.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::span;

/// The file's name in a release.
pub const FILE: &str = "app.toml";

/// How a release of the app behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Behaviour {
    /// The time from the start of the process until it listens.
    #[serde(with = "span")]
    pub boot: Duration,
    /// Whether the process exits with code 1 at the end of its boot, instead of listening.
    pub boot_fails: bool,
    /// The hosts, or instances in the form `web2:4041`, on which alone `boot-fails` holds; all if none is named.
    pub boot_fails_on: Vec<String>,
    /// How many requests are slower at first; health checks are neither slow nor counted.
    pub cold_requests: u32,
    /// How much slower they are.
    #[serde(with = "span")]
    pub cold: Duration,
    /// What SIGTERM does.
    pub stop: Stop,
    /// The status of every answer except the health page's.
    pub answer: u16,
    /// What the health page says.
    pub health: Health,
    /// The hosts on which alone it says so, and elsewhere that all is well; all if none is named.
    pub health_on: Vec<String>,
}

/// What SIGTERM does to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// It exits at once, whatever is in flight.
    Abrupt,
    /// It stops listening, closes idle connections, finishes what is in flight, and exits.
    Graceful,
}

/// What the health page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub enum Health {
    /// It answers with this status.
    Status(u16),
    /// It takes the request and never answers.
    Never,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            boot: Duration::from_millis(300),
            boot_fails: false,
            boot_fails_on: Vec::new(),
            cold_requests: 5,
            cold: Duration::from_millis(100),
            stop: Stop::Abrupt,
            answer: 200,
            health: Health::Status(200),
            health_on: Vec::new(),
        }
    }
}

impl Behaviour {
    /// Whether it does not boot as the instance `port` of `host`.
    #[must_use]
    pub fn fails_to_boot(&self, host: &str, port: u16) -> bool {
        let here = |place: &String| *place == host || *place == format!("{host}:{port}");
        self.boot_fails && (self.boot_fails_on.is_empty() || self.boot_fails_on.iter().any(here))
    }

    /// How it behaves on `host`.
    #[must_use]
    pub fn on(mut self, host: &str) -> Self {
        if !self.health_on.is_empty() && self.health_on.iter().all(|place| place != host) {
            self.health = Health::Status(200);
        }
        self
    }

    /// Reads the behaviour of the release in a directory; a release without the file behaves well.
    pub fn of_release(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        toml::from_str(&text).map_err(|error| Error::content(&path, &error))
    }
}

impl TryFrom<toml::Value> for Health {
    type Error = String;

    fn try_from(value: toml::Value) -> std::result::Result<Self, String> {
        match value {
            toml::Value::Integer(status) => {
                u16::try_from(status).map(Self::Status).map_err(|_| format!("{status} is no HTTP status"))
            }
            toml::Value::String(word) if word == "never" => Ok(Self::Never),
            other => Err(format!("expected a status or \"never\", found {other}")),
        }
    }
}

impl From<Health> for toml::Value {
    fn from(health: Health) -> Self {
        match health {
            Health::Status(status) => Self::Integer(status.into()),
            Health::Never => Self::String("never".into()),
        }
    }
}
