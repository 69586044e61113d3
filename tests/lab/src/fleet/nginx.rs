//! nginx on every web host, in front of the app's instances.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;

use super::host::Host;
use super::layout::Layout;
use super::spec::Spec;
use super::template;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::wait;

const START_WITHIN: Duration = Duration::from_secs(10);

/// Requests of two seconds are let finish.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Starts a host's first nginx.
pub fn set_up(layout: &Layout, host: &Host, spec: &Spec) -> Result<Process> {
    write_config(layout, host, spec)?;
    let upstream_file = upstream_file(host);
    fs::write(&upstream_file, upstream(host, spec)).map_err(Error::file("write", &upstream_file))?;
    start(layout, host)
}

/// Ends a host's nginx in order and starts it again: another master, with the configuration that is there.
pub fn restart(layout: &Layout, host: &Host) -> Result<()> {
    if let Some(process) = Process::recorded(&host.pid_file("nginx")) {
        process.signal(Signal::QUIT);
        process.await_end(STOP_WITHIN)?;
    }
    start(layout, host).map(drop)
}

/// Starts a host's nginx and waits until it listens.
fn start(layout: &Layout, host: &Host) -> Result<Process> {
    let log = host.log("nginx");
    // The wrapper knows this host's configuration; shipit's recipe tests and reloads through the same one.
    let wrapper = layout.bin("nginxctl").to_string_lossy().into_owned();
    let process = Process::start_detached(&wrapper, &[&host.name], &log, &host.pid_file("nginx"))?;
    wait::until(&format!("nginx on {} listens", host.name), START_WITHIN, Some(&log), || {
        TcpStream::connect_timeout(&host.http(), Duration::from_secs(1)).ok()
    })?;
    Ok(process)
}

/// The set of instances that nginx on `host` sends traffic to, and the other one.
#[must_use]
pub fn sets(layout: &Layout, host: &Host, spec: &Spec) -> (Vec<u16>, Vec<u16>) {
    let (first, second) = (spec.ports(), spec.second_ports());
    let swapped = if spec.links {
        let link = fs::read_link(layout.sockets.join(format!("{}-{}.link", host.name, first[0])));
        let target = link.map(|target| target.to_string_lossy().into_owned()).unwrap_or_default();
        second.iter().any(|port| target.ends_with(&format!("-{port}.sock")))
    } else {
        let down = down(host);
        first.iter().all(|port| down.contains(port))
    };
    if swapped { (second, first) } else { (first, second) }
}

/// The instances of the set that gets traffic that nginx on `host` sends nothing to, by the include; none where it goes by links.
#[must_use]
pub fn left_out(layout: &Layout, host: &Host, spec: &Spec) -> Vec<u16> {
    let (live, _) = sets(layout, host, spec);
    down(host).into_iter().filter(|port| live.contains(port)).collect()
}

fn down(host: &Host) -> Vec<u16> {
    let text = fs::read_to_string(upstream_file(host)).unwrap_or_default();
    let down = text.lines().filter(|line| line.split([' ', ';']).any(|word| word == "down"));
    down.filter_map(|line| line.split([' ', ';']).nth(1)?.rsplit_once(':')?.1.parse().ok()).collect()
}

/// The include with the instances; after `up` it is shipit's.
fn upstream_file(host: &Host) -> std::path::PathBuf {
    host.directory.join("app.upstream")
}

/// `max_fails=0`: by default one failed request takes an instance out for ten seconds, and two quick restarts take all out.
fn upstream(host: &Host, spec: &Spec) -> String {
    spec.all_ports().iter().fold(String::new(), |mut text, port| {
        let down = if spec.second_ports().contains(port) { " down" } else { "" };
        let _ = writeln!(text, "server {}:{port} max_fails=0{down};", host.address);
        text
    })
}

/// What nginx.conf says about where the instances are.
fn servers(layout: &Layout, host: &Host, spec: &Spec) -> String {
    if !spec.links {
        return format!("include {};\n    keepalive 16;", upstream_file(host).display());
    }
    // No `keepalive`: what nginx keeps to a socket goes on after the link leads elsewhere.
    let link = |port: &u16| layout.sockets.join(format!("{}-{port}.link", host.name));
    let lines = spec
        .all_ports()
        .iter()
        .map(|port| format!("server unix:{} max_fails=0;", link(port).display()))
        .collect::<Vec<_>>();
    lines.join("\n    ")
}

fn write_config(layout: &Layout, host: &Host, spec: &Spec) -> Result<()> {
    // As root nginx would give its workers to `nobody`, who cannot enter a directory below /root.
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    template::write(
        &host.directory.join("nginx.conf"),
        include_str!("templates/nginx.conf"),
        &[
            ("host", &host.name),
            ("user", &user),
            ("directory", &host.directory.display()),
            ("servers", &servers(layout, host, spec)),
            ("listen", &host.http()),
        ],
    )
}
