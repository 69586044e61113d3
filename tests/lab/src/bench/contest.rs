//! A strategy, and the shell script that does the same.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::app::Behaviour;
use crate::error::{Error, Result};
use crate::fleet::{Fleet, Host, Spec};
use crate::shipit::{Output, Shipit};
use crate::wait::last_lines;
use crate::workspace;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contest {
    /// Hosts one at a time.
    Rolling,
    /// All hosts at once, their instances one at a time.
    Hotswap,
}

impl Contest {
    /// shipit's name for it, and that of the script.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::Hotswap => "hotswap",
        }
    }

    /// The same for people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Rolling => "one host at a time",
            Self::Hotswap => "all hosts at once",
        }
    }
}

/// A fleet for one of the two.
pub(super) struct Contender {
    pub(super) fleet: Fleet,
    contest: Contest,
    /// How long its app boots.
    boot: Duration,
}

impl Contender {
    pub(super) fn prepare(name: &str, contest: Contest, boot: Duration, spec: &Spec) -> Result<Self> {
        Fleet::renew(Spec { name: name.to_owned(), ..spec.clone() }).map(|fleet| Self { fleet, contest, boot })
    }

    /// Waits until every balancer sends requests to every host: a host that comes up during a measurement would disturb it.
    pub(super) fn await_up(&self) -> Result<()> {
        self.fleet.await_servers_up(Duration::from_secs(20))
    }

    /// Has `version` be what is shipped next.
    pub(super) fn write_app(&self, version: &str) -> Result<()> {
        self.fleet.write_app(&Behaviour { boot: self.boot, ..Behaviour::default() }, version).map(drop)
    }

    pub(super) fn run_shipit(&self, shipit: &Shipit, version: &str) -> Result<Duration> {
        self.write_app(version)?;
        let arguments = ["deploy", "lab", "--strategy", self.contest.name(), "--yes"];
        shipit.run(&self.fleet, &arguments, Output::Kept)?.success().map(|outcome| outcome.lasted)
    }

    pub(super) fn run_script(&self, version: &str) -> Result<Duration> {
        self.write_app(version)?;
        let layout = &self.fleet.layout;
        let control = layout.sockets.join("control");
        fs::create_dir_all(&control).map_err(Error::file("create", &control))?;
        let script = workspace::root().join(format!("tests/lab/bench/{}.sh", self.contest.name()));
        let mut command = Command::new("sh");
        command.arg(&script).arg(format!("floor-{version}"));
        self.describe(&mut command).env("CONTROL", &control);
        run(&mut command)
    }

    /// Tells `command` about the fleet, by its environment.
    pub(super) fn describe<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let layout = &self.fleet.layout;
        command
            .env("SSH_CONFIG", layout.ssh_config())
            .env("APP", layout.project().join("app"))
            .env("FLEET", &layout.root)
            .env("SOCKETS", &layout.sockets)
            .env("WEB", words(self.fleet.web.iter().map(|host| format!("{}={}", host.name, host.address))))
            .env("BALANCERS", words(self.fleet.balancers.iter().map(|host: &Host| host.name.clone())))
            .env("PORTS", words(self.fleet.spec.ports().iter().map(u16::to_string)))
    }
}

/// Runs a floor's command to its end, and says how long it took.
pub(super) fn run(command: &mut Command) -> Result<Duration> {
    let began = Instant::now();
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(Error::program(&name))?;
    let lasted = began.elapsed();
    if output.status.success() {
        return Ok(lasted);
    }
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    Err(Error::Command {
        command: format!("{name} {}", arguments.join(" ")),
        status: output.status.to_string(),
        output: last_lines(&String::from_utf8_lossy(&output.stderr)),
    })
}

fn words(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(" ")
}
