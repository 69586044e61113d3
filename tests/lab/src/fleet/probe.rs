//! Asking an instance of the app directly, past nginx and haproxy, which version it is.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Fleet, Host, nginx};

/// An instance that is alive answers within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(2);

/// One instance of the app, and what it says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The host's name.
    pub host: String,
    /// The instance's port.
    pub port: u16,
    /// The version that the process booted from; `None` if it does not answer.
    pub version: Option<String>,
}

impl Fleet {
    /// Asks every instance that is to serve which version it is.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        self.web.iter().flat_map(|host| of(host, nginx::sets(&self.layout, host, &self.spec).0)).collect()
    }

    /// The same for those that are idle.
    #[must_use]
    pub fn idle_instances(&self) -> Vec<Instance> {
        self.web.iter().flat_map(|host| of(host, nginx::sets(&self.layout, host, &self.spec).1)).collect()
    }
}

fn of(host: &Host, ports: Vec<u16>) -> impl Iterator<Item = Instance> + '_ {
    ports.into_iter().map(|port| {
        let version = version((host.address, port).into());
        Instance { host: host.name.clone(), port, version }
    })
}

fn version(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.write_all(b"GET /version HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.trim().to_owned())
}
