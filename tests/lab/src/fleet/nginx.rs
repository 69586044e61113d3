//! nginx on every web host, in front of the app's instances.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use super::host::Host;
use super::layout::Layout;
use super::template;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::wait;

const START_WITHIN: Duration = Duration::from_secs(10);

/// Starts a host's nginx and waits until it listens.
pub fn start(layout: &Layout, host: &Host, ports: &[u16]) -> Result<Process> {
    write_config(host)?;
    let upstream_file = upstream_file(host);
    fs::write(&upstream_file, upstream(host, ports)).map_err(Error::file("write", &upstream_file))?;
    let log = host.log("nginx");
    // The wrapper knows this host's configuration; shipit's recipe tests and reloads through the same one.
    let wrapper = layout.bin("nginxctl").to_string_lossy().into_owned();
    let process = Process::start_detached(&wrapper, &[&host.name], &log, &host.pid_file("nginx"))?;
    wait::until(&format!("nginx on {} listens", host.name), START_WITHIN, Some(&log), || {
        TcpStream::connect_timeout(&host.http(), Duration::from_secs(1)).ok()
    })?;
    Ok(process)
}

/// The include with the instances; after `up` it is shipit's.
fn upstream_file(host: &Host) -> std::path::PathBuf {
    host.directory.join("app.upstream")
}

/// `max_fails=0`: by default one failed request takes an instance out for ten seconds, and two quick restarts take all out.
fn upstream(host: &Host, ports: &[u16]) -> String {
    ports.iter().fold(String::new(), |mut text, port| {
        let _ = writeln!(text, "server {}:{port} max_fails=0;", host.address);
        text
    })
}

fn write_config(host: &Host) -> Result<()> {
    // As root nginx would give its workers to `nobody`, who cannot enter a directory below /root.
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    template::write(
        &host.directory.join("nginx.conf"),
        include_str!("templates/nginx.conf"),
        &[
            ("host", &host.name),
            ("user", &user),
            ("directory", &host.directory.display()),
            ("upstream", &upstream_file(host).display()),
            ("listen", &host.http()),
        ],
    )
}
