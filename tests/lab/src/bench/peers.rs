//! `cargo lab bench peers`: a hot-swap by Capistrano and by Ansible, beside shipit's.
//!
//! Their recipes stage the release by each tool's own means; the swap itself is one script for both, the one of the floor, which waits
//! for connections and polls. Nobody writes that much for a recipe of these tools, so it is the best that they could do.

use std::process::Command;
use std::time::Duration;

use super::contest::{Contender, Contest, run};
use super::{FEWEST_RUNS, median};
use crate::error::{Error, Result};
use crate::fleet::Spec;
use crate::load::{Load, Mix};
use crate::shipit::Shipit;
use crate::workspace::{self, Profile};
use crate::{command, interrupt, packages, span};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many hosts.
    #[arg(long, default_value_t = 8)]
    pub hosts: u8,
    /// How long the app boots.
    #[arg(long, default_value = "3s", value_parser = span::parse)]
    pub boot: Duration,
    /// How many runs of each.
    #[arg(long, default_value_t = FEWEST_RUNS, value_parser = clap::value_parser!(u8).range(1..))]
    pub runs: u8,
}

/// Measures the three in turns.
pub fn peers(options: &Options) -> Result<()> {
    packages::install(packages::FLEETS)?;
    packages::install(packages::PEERS)?;
    interrupt::take_fleets_along();
    let shipit = Shipit::build(Profile::Release)?;
    // One fleet for shipit, because it knows releases that others have made from its own; the others share one.
    let spec = Spec { hosts: options.hosts, ..Spec::default() };
    let prepare = |name: &str| Contender::prepare(name, Contest::Hotswap, options.boot, &spec);
    let (theirs, own) = (prepare("bench-peers")?, prepare("bench-shipit")?);
    capistrano(&theirs, "0")?;
    theirs.await_up()?;
    own.run_shipit(&shipit, "0")?;
    own.await_up()?;
    let targets = [&theirs, &own].into_iter().flat_map(|contender| contender.fleet.frontends()).collect();
    let load = Load::start_mix(targets, Mix::light())?;
    let mut seconds: [Vec<f64>; 3] = Default::default();
    for version in 1..=options.runs {
        let version = version.to_string();
        let took = [capistrano(&theirs, &version)?, ansible(&theirs, &version)?, own.run_shipit(&shipit, &version)?];
        seconds.iter_mut().zip(took).for_each(|(all, took)| all.push(took.as_secs_f64()));
    }
    let report = load.stop()?;
    [theirs, own].into_iter().try_for_each(|contender| contender.fleet.down())?;
    println!("hot-swap of {} hosts behind 1 haproxy, all hosts at once", options.hosts);
    let ours = median(&seconds[2]);
    for (name, seconds) in ["capistrano", "ansible", "shipit"].iter().zip(&seconds) {
        println!("  {name:<10}  median {:>6.2} s   {:>5.2} times shipit", median(seconds), median(seconds) / ours);
    }
    println!("  {} requests, {} failed", report.sent(), report.failed());
    Ok(())
}

fn capistrano(contender: &Contender, version: &str) -> Result<Duration> {
    let recipe = workspace::root().join("tests/lab/bench/capistrano/Capfile");
    let mut command = Command::new("cap");
    command.arg("-f").arg(recipe).args(["lab", "swap"]).env("LOGIN", command::user());
    play(contender, command, &format!("capistrano-{version}"))
}

fn ansible(contender: &Contender, version: &str) -> Result<Duration> {
    let layout = &contender.fleet.layout;
    let inventory = layout.root.join("peers.ini");
    let hosts: Vec<String> =
        contender.fleet.web.iter().map(|host| format!("{} address={}", host.name, host.address)).collect();
    std::fs::write(&inventory, hosts.join("\n")).map_err(Error::file("write", &inventory))?;
    let mut command = Command::new("ansible-playbook");
    command.arg("-i").arg(inventory).arg(workspace::root().join("tests/lab/bench/playbook.yml"));
    let arguments = format!("-F {} -o ControlMaster=auto -o ControlPersist=30s", layout.ssh_config().display());
    command
        .env("ANSIBLE_SSH_ARGS", arguments)
        .env("ANSIBLE_SSH_CONTROL_PATH_DIR", layout.sockets.join("ansible"))
        .env("ANSIBLE_PIPELINING", "1")
        .env("ANSIBLE_FORKS", contender.fleet.web.len().to_string());
    play(contender, command, &format!("ansible-{version}"))
}

/// Has one of them ship the release called `release`.
fn play(contender: &Contender, mut command: Command, release: &str) -> Result<Duration> {
    contender.write_app(release)?;
    contender.describe(&mut command).env("RELEASE", release);
    run(&mut command)
}
