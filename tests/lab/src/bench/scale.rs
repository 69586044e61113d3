//! `cargo lab bench scale`: what a deploy costs where there is nothing to wait for.
//!
//! The floor is one `ssh HOST true` for each host: nobody can do less than log in once everywhere. All hosts share this machine,
//! so what a script does on two hundred hosts at once is in the time here, and would not be on two hundred machines. It is
//! told on its own for that reason: CPU time of the hosts' sshd and all below it.

use std::fs;
use std::process::Command;
use std::time::Instant;

use serde::Serialize;

use super::contest::run;
use super::{FEWEST_RUNS, least, median, print_json, usage};
use crate::app::Behaviour;
use crate::error::{Error, Result};
use crate::fleet::{Fleet, Spec};
use crate::process::Process;
use crate::shipit::{Output, Shipit};
use crate::workspace::Profile;
use crate::{interrupt, packages};

/// As many connections at once as shipit opens.
const AT_ONCE: &str = "50";

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many hosts.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u8).range(1..=250))]
    pub hosts: u8,
    /// How many runs of each.
    #[arg(long, default_value_t = FEWEST_RUNS, value_parser = clap::value_parser!(u8).range(i64::from(FEWEST_RUNS)..))]
    pub runs: u8,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// One of the two, in seconds of each run.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Costs {
    wall: Vec<f64>,
    /// CPU of this side, all children included.
    client: Vec<f64>,
    /// CPU of the hosts.
    hosts: Vec<f64>,
}

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Measurement {
    hosts: u8,
    floor: Costs,
    shipit: Costs,
    wall_ratio: f64,
    client_ratio: f64,
    hosts_ratio: f64,
    /// The most memory of shipit itself, in MB.
    memory: f64,
    /// What all its ssh processes had for themselves, in MB.
    masters_memory: f64,
    masters: usize,
}

/// Measures deploys to many hosts.
pub fn scale(options: &Options) -> Result<()> {
    packages::install(packages::FLEETS)?;
    interrupt::take_fleets_along();
    let shipit = Shipit::build(Profile::Release)?;
    let fleet = Fleet::renew(Spec::bare("bench-scale", options.hosts))?;
    let servers: Vec<Process> = fleet.web.iter().filter_map(|host| Process::recorded(&host.pid_file("sshd"))).collect();
    let deploy = |version: &str| -> Result<()> {
        fleet.write_app(&Behaviour::default(), version)?;
        shipit.run(&fleet, &["deploy", "lab", "--yes"], Output::Kept)?.success().map(drop)
    };
    // The first one makes directories, and the run in which memory is looked at is slower for that.
    let (done, memory) = usage::memory(|| deploy("0"));
    done?;
    let (mut floor, mut own) = (Costs::default(), Costs::default());
    for run in 1..=options.runs {
        floor.add(&servers, || log_in_everywhere(&fleet))?;
        own.add(&servers, || deploy(&run.to_string()))?;
        eprintln!("run {run}: floor {}, shipit {}", floor.last(), own.last());
    }
    fleet.down()?;
    let ratio = |figures: fn(&Costs) -> &Vec<f64>| median(figures(&own)) / median(figures(&floor));
    let measurement = Measurement {
        hosts: options.hosts,
        wall_ratio: ratio(|costs| &costs.wall),
        client_ratio: ratio(|costs| &costs.client),
        hosts_ratio: ratio(|costs| &costs.hosts),
        floor,
        shipit: own,
        memory: megabytes(memory.own),
        masters_memory: megabytes(memory.masters),
        masters: memory.count,
    };
    if options.json {
        return print_json(&measurement);
    }
    measurement.print();
    Ok(())
}

impl Costs {
    fn add(&mut self, servers: &[Process], work: impl FnOnce() -> Result<()>) -> Result<()> {
        let (client, hosts, began) = (usage::of_children(), usage::of(servers), Instant::now());
        work()?;
        self.wall.push(began.elapsed().as_secs_f64());
        self.client.push(usage::of_children() - client);
        self.hosts.push(usage::of(servers) - hosts);
        Ok(())
    }

    fn last(&self) -> String {
        let last = |figures: &[f64]| figures.last().copied().unwrap_or_default();
        let (wall, client, hosts) = (last(&self.wall), last(&self.client), last(&self.hosts));
        format!("{wall:.2} s (CPU {client:.2} s here, {hosts:.2} s on the hosts)")
    }
}

impl Measurement {
    fn print(&self) {
        println!("a deploy to {} hosts against one `ssh HOST true` for each, medians", self.hosts);
        println!("  {:<24} {:>9} {:>9} {:>7}", "", "floor", "shipit", "ratio");
        for (name, floor, own, ratio) in [
            ("wall", &self.floor.wall, &self.shipit.wall, self.wall_ratio),
            ("CPU here, with ssh", &self.floor.client, &self.shipit.client, self.client_ratio),
            ("CPU of all hosts", &self.floor.hosts, &self.shipit.hosts, self.hosts_ratio),
        ] {
            println!("  {name:<24} {:>7.2} s {:>7.2} s {ratio:>7.2}", median(floor), median(own));
        }
        println!("  wall, quickest run       {:>7.2} s {:>7.2} s", least(&self.floor.wall), least(&self.shipit.wall));
        println!(
            "  memory: shipit {:.1} MB, and {} ssh processes with {:.1} MB of their own",
            self.memory, self.masters, self.masters_memory
        );
        println!("  All hosts share this machine's processors and kernel: their work is in the wall time.");
    }
}

/// Logs in to every host once.
fn log_in_everywhere(fleet: &Fleet) -> Result<()> {
    let list = fleet.layout.root.join("names");
    let names: Vec<&str> = fleet.web.iter().map(|host| host.name.as_str()).collect();
    fs::write(&list, names.join("\n")).map_err(Error::file("write", &list))?;
    let mut command = Command::new("xargs");
    command.arg("-a").arg(list).args(["-P", AT_ONCE, "-I{}", "ssh", "-F"]).arg(fleet.layout.ssh_config());
    run(command.args(["{}", "true"])).map(drop)
}

#[expect(clippy::cast_precision_loss, reason = "megabytes with one decimal")]
fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}
