//! sshd on every host, and the keys that lead there.

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use super::host::Host;
use super::layout::Layout;
use super::spec::SSH_PORT;
use super::template;
use crate::command;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::wait;

/// Generating a key takes 10 ms or so: nothing for a few hosts, seconds for two hundred. Those share one.
const OWN_KEYS_UP_TO: usize = 20;

/// Generous, for a machine that is busy with a build.
const START_WITHIN: Duration = Duration::from_secs(10);

/// Makes the client's key and the hosts' keys, `known_hosts` and `ssh_config`.
pub fn introduce(layout: &Layout, hosts: &[Host], network: u8) -> Result<()> {
    generate_key(&layout.key("client"))?;
    fs::copy(layout.key("client.pub"), layout.key("authorized_keys"))
        .map_err(Error::file("write", &layout.key("authorized_keys")))?;
    if hosts.len() > OWN_KEYS_UP_TO {
        generate_key(&layout.key("shared"))?;
    }
    let mut known_hosts = String::new();
    for key in crate::parallel::each(hosts, |host| host_key(layout, host, hosts.len()))? {
        known_hosts += &key;
    }
    let path = layout.key("known_hosts");
    fs::write(&path, known_hosts).map_err(Error::file("write", &path))?;
    write_ssh_config(layout, hosts, network)
}

/// Gives a host its key and returns its line for `known_hosts`.
fn host_key(layout: &Layout, host: &Host, hosts: usize) -> Result<String> {
    let own = host.directory.join("ssh_host_key");
    if hosts > OWN_KEYS_UP_TO {
        for suffix in ["", ".pub"] {
            let from = layout.key(&format!("shared{suffix}"));
            let to = own.with_extension(suffix.trim_start_matches('.'));
            fs::copy(&from, &to).map_err(Error::file("write", &to))?;
        }
    } else {
        generate_key(&own)?;
    }
    let public = own.with_extension("pub");
    let key = fs::read_to_string(&public).map_err(Error::file("read", &public))?;
    Ok(format!("[{}]:{SSH_PORT} {key}", host.address))
}

/// Makes an ed25519 key without a passphrase, in place of one that is there.
pub fn generate_key(path: &Path) -> Result<()> {
    for old in [path.to_owned(), path.with_extension("pub")] {
        if old.exists() {
            fs::remove_file(&old).map_err(Error::file("remove", &old))?;
        }
    }
    command::run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "shipit lab", "-f", &path.to_string_lossy()])
        .map(drop)
}

/// Starts a host's sshd and waits until it greets.
pub fn start(layout: &Layout, host: &Host) -> Result<Process> {
    let config = host.directory.join("sshd_config");
    write_sshd_config(&config, layout, host)?;
    let log = host.log("sshd");
    let program = command::find("sshd")?;
    let process = Process::start_detached(
        &program,
        &["-D", "-e", "-f", &config.to_string_lossy()],
        &log,
        &host.pid_file("sshd"),
    )?;
    wait::until(&format!("sshd on {} greets", host.name), START_WITHIN, Some(&log), || greets(host))?;
    Ok(process)
}

fn greets(host: &Host) -> Option<()> {
    let mut stream = TcpStream::connect_timeout(&host.ssh(), Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).ok()?;
    (&greeting == b"SSH-").then_some(())
}

fn write_sshd_config(path: &Path, layout: &Layout, host: &Host) -> Result<()> {
    template::write(
        path,
        include_str!("templates/sshd_config"),
        &[
            ("host", &host.name),
            ("address", &host.ssh()),
            ("directory", &host.directory.display()),
            ("bin", &layout.root.join("bin").display()),
            ("authorized-keys", &layout.key("authorized_keys").display()),
            ("pam", &if root_is_locked() { "yes" } else { "no" }),
        ],
    )
}

/// Without PAM, sshd refuses an account whose password is locked with `!`, as root's is on many a desktop.
fn root_is_locked() -> bool {
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    rustix::process::getuid().is_root() && shadow.lines().any(|line| line.starts_with("root:!"))
}

fn write_ssh_config(layout: &Layout, hosts: &[Host], network: u8) -> Result<()> {
    let names: Vec<String> =
        hosts.iter().map(|host| format!("Host {}\n  HostName {}", host.name, host.address)).collect();
    template::write(
        &layout.ssh_config(),
        include_str!("templates/ssh_config"),
        &[
            ("names", &names.join("\n")),
            ("network", &network),
            ("port", &SSH_PORT),
            ("user", &command::user()),
            ("key", &layout.key("client").display()),
            ("known-hosts", &layout.key("known_hosts").display()),
        ],
    )
}
