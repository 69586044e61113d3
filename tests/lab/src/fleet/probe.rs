//! Asking an instance of the app directly, past nginx and haproxy, which version it is.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Fleet;

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
    /// Asks every instance which version it is.
    #[must_use]
    pub fn instances(&self) -> Vec<Instance> {
        let of = |host: &super::Host| {
            let (name, address) = (host.name.clone(), host.address);
            self.spec.ports().into_iter().map(move |port| {
                let version = version((address, port).into());
                Instance { host: name.clone(), port, version }
            })
        };
        self.web.iter().flat_map(of).collect()
    }
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
