//! A machine of the inventory, and the app processes on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{HostName, NameError, Role};

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name in the inventory, in messages and in haproxy.
    pub name: HostName,
    /// Where ssh goes to: the address if the inventory has one, else the name.
    pub address: Address,
    /// What it is for.
    pub roles: BTreeSet<Role>,
    /// Free `key = value` pairs to select hosts by.
    pub labels: BTreeMap<String, String>,
}

/// What ssh connects to: a host name, an IPv4 or an IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = NameError;

    /// Takes what a name may be, and colons for IPv6.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.parse::<std::net::Ipv6Addr>().is_err() {
            text.parse::<HostName>()?;
        }
        Ok(Self(text.to_owned()))
    }
}

impl From<&HostName> for Address {
    fn from(name: &HostName) -> Self {
        Self(name.as_str().to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One process of the app on a host, by the port that it listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instance(pub u16);

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
