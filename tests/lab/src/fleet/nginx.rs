//! nginx on every web host, in front of the app's instances.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use super::host::Host;
use super::layout::Layout;
use super::spec::WEB_PORT;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::wait;

const START_WITHIN: Duration = Duration::from_secs(10);

/// Starts a host's nginx and waits until it listens.
pub fn start(layout: &Layout, host: &Host, ports: &[u16]) -> Result<Process> {
    let files = [(host.directory.join("nginx.conf"), config(host)), (upstream_file(host), upstream(host, ports))];
    for (path, text) in files {
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
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

fn config(host: &Host) -> String {
    // As root nginx would give its workers to `nobody`, who cannot enter a directory below /root.
    let user = if rustix::process::getuid().is_root() { "user root;\n" } else { "" };
    let directory = host.directory.display();
    let log = host.log("nginx");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {directory}/tmp/{kind};\n"))
        .concat();
    format!(
        "# {name}: written by `cargo lab up`.\n\
         {user}daemon off;\n\
         pid {directory}/run/nginx.master;\n\
         error_log {log} notice;\n\
         worker_processes 1;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  \
           access_log off;\n  \
           client_body_buffer_size 64k;\n\
           {temporary}  \
           upstream app {{\n    \
             include {upstream};\n    \
             keepalive 16;\n  \
           }}\n  \
           server {{\n    \
             listen {address}:{WEB_PORT};\n    \
             # A reload closes idle connections, and a request that haproxy has just put on one would be lost.\n    \
             keepalive_timeout 0;\n    \
             location / {{\n      \
               proxy_pass http://app;\n      \
               proxy_http_version 1.1;\n      \
               proxy_set_header Connection \"\";\n      \
               proxy_set_header Host $host;\n      \
               proxy_connect_timeout 2s;\n      \
               # A second try on another instance would hide a request that a deploy lost, or run it twice.\n      \
               proxy_next_upstream off;\n    \
             }}\n  \
           }}\n\
         }}\n",
        name = host.name,
        log = log.display(),
        upstream = upstream_file(host).display(),
        address = host.address,
    )
}
