//! haproxy on every balancer host, and its runtime socket.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::host::Host;
use super::layout::Layout;
use super::template;
use crate::command;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::wait;

const START_WITHIN: Duration = Duration::from_secs(10);

/// Four hundred checks a second would take the CPU from what is measured; a fleet of the usual size wants quick ones.
const QUICK_CHECKS_UP_TO: usize = 20;

/// Starts a balancer's haproxy and waits until it listens and answers.
pub fn start(layout: &Layout, balancer: &Host, servers: &[Host]) -> Result<Process> {
    let config = balancer.directory.join("haproxy.cfg");
    write_config(&config, layout, balancer, servers)?;
    let log = balancer.log("haproxy");
    let master = layout.master_socket(&balancer.name);
    let process = Process::start_detached(
        &command::find("haproxy")?,
        &["-W", "-S", &master.to_string_lossy(), "-f", &config.to_string_lossy()],
        &log,
        &balancer.pid_file("haproxy"),
    )?;
    let socket = layout.admin_socket(&balancer.name);
    wait::until(&format!("haproxy on {} answers", balancer.name), START_WITHIN, Some(&log), || {
        TcpStream::connect_timeout(&balancer.http(), Duration::from_secs(1)).ok()?;
        ask(&socket, "show info").ok().filter(|answer| answer.contains("Pid: "))
    })?;
    // haproxy takes its servers for up until three checks have failed; nothing runs on them yet.
    for server in servers {
        ask(&socket, &format!("set server app/{} health down", server.name))?;
    }
    Ok(process)
}

/// Has haproxy read its configuration anew, as `systemctl reload haproxy` does, and waits for the new worker.
pub fn reload(layout: &Layout, balancer: &Host) -> Result<()> {
    let socket = layout.admin_socket(&balancer.name);
    let before = worker_pid(&socket)?;
    let Some(master) = Process::recorded(&balancer.pid_file("haproxy")) else {
        return Err(Error::Refused(format!("haproxy on {} does not run", balancer.name)));
    };
    master.signal(Signal::USR2);
    let log = balancer.log("haproxy");
    wait::until(&format!("haproxy on {} reloads", balancer.name), START_WITHIN, Some(&log), || {
        worker_pid(&socket).ok().filter(|pid| *pid != before)
    })?;
    Ok(())
}

fn worker_pid(socket: &Path) -> Result<String> {
    let info = ask(socket, "show info")?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid: "));
    Ok(pid.unwrap_or_default().to_owned())
}

/// Sends one command to the runtime socket; a connection takes one only.
pub fn ask(socket: &Path, request: &str) -> Result<String> {
    let converse = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("{request}\n").as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.trim().to_owned())
    };
    converse().map_err(Error::file("ask", socket))
}

/// How a balancer sees one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// The server's name in the backend.
    pub name: String,
    /// `UP`, `DOWN`, `DRAIN`, `MAINT`, with haproxy's additions such as `1/3`.
    pub status: String,
}

/// How a balancer sees its servers.
pub fn servers(socket: &Path) -> Result<Vec<ServerState>> {
    let table = ask(socket, "show stat app 4 -1")?;
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let heading = lines.next().unwrap_or_default();
    let column = |name| heading.iter().position(|column| column.trim_start_matches("# ") == name);
    let (Some(name), Some(status)) = (column("svname"), column("status")) else {
        return Err(Error::content(socket, &"`show stat` has no columns `svname` and `status`"));
    };
    let servers = lines.filter_map(|row| {
        Some(ServerState { name: (*row.get(name)?).to_owned(), status: (*row.get(status)?).to_owned() })
    });
    Ok(servers.collect())
}

fn write_config(path: &Path, layout: &Layout, balancer: &Host, servers: &[Host]) -> Result<()> {
    let interval = if servers.len() <= QUICK_CHECKS_UP_TO { "500ms" } else { "2s" };
    let line =
        |server: &Host| format!("  server {} {} check inter {interval} fall 3 rise 2", server.name, server.http());
    let servers: Vec<String> = servers.iter().map(line).collect();
    template::write(
        path,
        include_str!("templates/haproxy.cfg"),
        &[
            ("host", &balancer.name),
            ("socket", &layout.admin_socket(&balancer.name).display()),
            ("listen", &balancer.http()),
            ("servers", &servers.join("\n")),
        ],
    )
}
