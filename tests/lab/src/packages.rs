//! The programs that fleets are made of, and how they get onto this machine.

use std::process::Command;

use crate::command;
use crate::error::{Error, Result};

/// One of Debian's packages, with a program that shows whether it is there, and the service that it would start.
type Package = (&'static str, &'static str, Option<&'static str>);

/// What fleets are made of.
pub const FLEETS: &[Package] = &[
    ("openssh-server", "sshd", Some("ssh")),
    ("openssh-client", "ssh", None),
    ("haproxy", "haproxy", Some("haproxy")),
    ("nginx-light", "nginx", Some("nginx")),
    ("curl", "curl", None),
    ("socat", "socat", None),
    ("iproute2", "ss", None),
];

/// What shipit is measured beside.
pub const PEERS: &[Package] = &[("capistrano", "cap", None), ("ansible", "ansible-playbook", None)];

/// What the tests need besides: the shells and the programs that scripts are tried with.
pub const TESTS: &[Package] = &[
    ("shellcheck", "shellcheck", None),
    ("busybox", "busybox", None),
    ("dash", "dash", None),
    ("git", "git", None),
    ("perl", "perl", None),
    ("python3", "python3", None),
    ("zstd", "zstd", None),
];

/// Installs what is missing: as root by itself, else by naming the command that does.
pub fn install(packages: &[Package]) -> Result<()> {
    let missing: Vec<_> = packages.iter().filter(|(_, program, _)| !command::is_installed(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(package, ..)| *package).collect();
    if !rustix::process::getuid().is_root() {
        let names = names.join(" ");
        return Err(Error::Refused(format!("missing programs; install them: sudo apt-get install {names}")));
    }
    eprintln!("installing {}", names.join(", "));
    // The package lists of a fresh machine are empty or old; they are worth fetching only then.
    if apt_get_install(&names).is_err() {
        apt_get(&["update"])?;
        apt_get_install(&names)?;
    }
    for service in missing.iter().filter_map(|(_, _, service)| *service) {
        quiet(service);
    }
    Ok(())
}

fn apt_get_install(names: &[&str]) -> Result<()> {
    apt_get(&[&["install", "--yes", "--no-install-recommends"], names].concat())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let arguments = [&["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"], arguments].concat();
    command::run("env", &arguments).map(drop)
}

/// Debian starts a server as soon as it is installed, and at each boot. A fleet runs its own; whoever asked for a lab did
/// not ask for an sshd that is open to the network. A service that was there before is not touched.
fn quiet(service: &str) {
    // Without systemd nothing was started, and nothing has to be stopped.
    let _ = Command::new("systemctl").args(["disable", "--now", "--quiet", service]).output();
}
