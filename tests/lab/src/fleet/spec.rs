//! What a fleet is to be: its name and its numbers.

use std::net::{Ipv4Addr, TcpListener};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The first port of the app's instances; the next ones follow.
pub const APP_PORT: u16 = 4040;
/// The first port of the second set.
pub const SECOND_PORT: u16 = 5040;
/// Where nginx listens on every web host.
pub const WEB_PORT: u16 = 8080;
/// Where haproxy listens on every balancer host.
pub const FRONTEND_PORT: u16 = 8000;
/// Where sshd listens on every host: an ordinary user cannot have port 22.
pub const SSH_PORT: u16 = 2222;

/// What a fleet is to be.
#[derive(Debug, Clone, Serialize, Deserialize, clap::Args)]
pub struct Spec {
    /// How many hosts run the app.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=250))]
    pub hosts: u8,
    /// How many hosts run haproxy in front of them; with none, clients go to nginx on the hosts.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub balancers: u8,
    /// How many instances of the app each host runs.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub instances: u8,
    /// Let nginx find the instances by links to their sockets, which takes no reload, and not by an include with their ports.
    #[arg(long)]
    #[serde(default)]
    pub links: bool,
    /// Give each host a second set of instances, idle at first, so that it can be deployed by preboot.
    #[arg(long)]
    #[serde(default)]
    pub preboot: bool,
    /// The fleet's name; fleets of different names can stand side by side.
    #[arg(long, default_value = "lab", value_parser = name)]
    pub name: String,
    /// Nothing but sshd on each host, no balancer, and one process that answers for the apps of all: what a deploy to such
    /// a fleet costs is the cost of deploying.
    #[arg(skip)]
    #[serde(default)]
    pub bare: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self { hosts: 4, balancers: 1, instances: 2, links: false, preboot: false, name: "lab".into(), bare: false }
    }
}

impl Spec {
    /// A fleet of this name and the usual size.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// A bare fleet: sshd on each host, and nothing else.
    #[must_use]
    pub fn bare(name: &str, hosts: u8) -> Self {
        Self { hosts, balancers: 0, instances: 1, links: false, preboot: false, name: name.to_owned(), bare: true }
    }

    /// The ports of the instances on each host.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        (APP_PORT..).take(self.instances.into()).collect()
    }

    /// The ports of the second set; none unless the fleet is to be deployed by preboot.
    #[must_use]
    pub fn second_ports(&self) -> Vec<u16> {
        (SECOND_PORT..).take(if self.preboot { self.instances.into() } else { 0 }).collect()
    }

    /// Both.
    #[must_use]
    pub fn all_ports(&self) -> Vec<u16> {
        [self.ports(), self.second_ports()].concat()
    }
}

fn name(text: &str) -> Result<String, String> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if !text.is_empty() && text.len() <= 40 && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err("a fleet's name is made of a-z, 0-9 and `-`".into())
}

/// Finds the fleet a network 127.x.0.0/16 that nobody listens on.
///
/// It begins at a number made from the name, so that a fleet usually has the same addresses each time.
pub fn free_network(spec: &Spec) -> Result<u8> {
    let sum = crate::app::checksum(spec.name.as_bytes());
    let networks = (0..240).map(|step| u8::try_from(10 + (sum + step) % 240).unwrap_or(10));
    networks
        .into_iter()
        .find(|network| is_free(*network))
        .ok_or_else(|| Error::Refused("every network of 127.0.0.0/8 that fleets use is taken".into()))
}

fn is_free(network: u8) -> bool {
    let first = Ipv4Addr::new(127, network, 0, 1);
    let balancer = Ipv4Addr::new(127, network, 1, 1);
    let ends =
        [(first, SSH_PORT), (first, WEB_PORT), (first, APP_PORT), (balancer, SSH_PORT), (balancer, FRONTEND_PORT)];
    ends.into_iter().all(|end| TcpListener::bind(end).is_ok())
}
