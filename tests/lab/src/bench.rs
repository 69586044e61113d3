//! `cargo lab bench rolling`: how much slower than bare shell is shipit, for the same steps and waits?
//!
//! Two fleets of the same shape stand side by side, one for each of the two, so that neither finds releases that the other
//! has made. They take turns, so that a machine that gets slower gets slower for both. There is a light load: without any
//! request a drain has nothing to wait for, and the usual load would measure the load client.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::app::Behaviour;
use crate::error::{Error, Result};
use crate::fleet::{Fleet, Host, Spec};
use crate::load::{Load, Mix};
use crate::shipit::{Output, Shipit};
use crate::wait::last_lines;
use crate::workspace::{self, Profile};
use crate::{interrupt, packages};

/// Fewer runs have no median worth the name.
const FEWEST_RUNS: u8 = 3;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many hosts.
    #[arg(long, default_value_t = 4)]
    pub hosts: u8,
    /// How many balancers.
    #[arg(long, default_value_t = 1)]
    pub balancers: u8,
    /// How many runs of each.
    #[arg(long, default_value_t = FEWEST_RUNS, value_parser = clap::value_parser!(u8).range(i64::from(FEWEST_RUNS)..))]
    pub runs: u8,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Measurement {
    hosts: u8,
    balancers: u8,
    /// Seconds of each run of the shell script.
    floor: Vec<f64>,
    /// Seconds of each run of shipit.
    shipit: Vec<f64>,
    /// The ratio of the medians.
    ratio: f64,
    /// Requests sent meanwhile, and lost.
    requests: usize,
    failed: usize,
}

/// Measures rolling deploys.
pub fn rolling(options: &Options) -> Result<()> {
    packages::install(packages::FLEETS)?;
    interrupt::take_fleets_along();
    let shipit = Shipit::build(Profile::Release)?;
    let fleets = [Contender::prepare("bench-floor", options)?, Contender::prepare("bench-shipit", options)?];
    let [floor, own] = &fleets;

    // Each needs a release to replace, and the first deploy finds no app to drain: it is not measured.
    floor.run_script("0")?;
    floor.await_up()?;
    own.run_shipit(&shipit, "0")?;
    let targets = fleets.iter().flat_map(|contender| contender.fleet.frontends()).collect();
    own.await_up()?;
    let load = Load::start_mix(targets, Mix::light())?;
    let mut seconds = (Vec::new(), Vec::new());
    for run in 1..=options.runs {
        let (theirs, ours) = (floor.run_script(&run.to_string())?, own.run_shipit(&shipit, &run.to_string())?);
        eprintln!("run {run}: floor {:.2} s, shipit {:.2} s", theirs.as_secs_f64(), ours.as_secs_f64());
        seconds.0.push(theirs.as_secs_f64());
        seconds.1.push(ours.as_secs_f64());
    }
    let report = load.stop()?;
    fleets.into_iter().try_for_each(|contender| contender.fleet.down())?;

    let measurement = Measurement {
        hosts: options.hosts,
        balancers: options.balancers,
        ratio: median(&seconds.1) / median(&seconds.0),
        floor: seconds.0,
        shipit: seconds.1,
        requests: report.sent(),
        failed: report.failed(),
    };
    measurement.print(options)
}

impl Measurement {
    fn print(&self, options: &Options) -> Result<()> {
        if options.json {
            let text = serde_json::to_string_pretty(self).map_err(|error| Error::Failed(error.to_string()))?;
            println!("{text}");
            return Ok(());
        }
        println!("rolling deploy of {} hosts behind {} haproxy, one host at a time", self.hosts, self.balancers);
        for (name, seconds) in [("floor", &self.floor), ("shipit", &self.shipit)] {
            println!("  {name:<8} median {:>6.2} s   min {:>6.2} s", median(seconds), least(seconds));
        }
        println!("  ratio of the medians {:.3}; {} requests, {} failed", self.ratio, self.requests, self.failed);
        Ok(())
    }
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

fn least(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(f64::INFINITY, f64::min)
}

/// A fleet for one of the two.
struct Contender {
    fleet: Fleet,
}

impl Contender {
    fn prepare(name: &str, options: &Options) -> Result<Self> {
        let spec = Spec { hosts: options.hosts, balancers: options.balancers, ..Spec::named(name) };
        Fleet::renew(spec).map(|fleet| Self { fleet })
    }

    /// Waits until every balancer sends requests to every host: a host that comes up during a measurement would disturb it.
    fn await_up(&self) -> Result<()> {
        self.fleet.await_servers_up(Duration::from_secs(20))
    }

    fn run_shipit(&self, shipit: &Shipit, version: &str) -> Result<Duration> {
        self.fleet.write_app(&Behaviour::default(), version)?;
        let arguments = ["deploy", "lab", "--strategy", "rolling", "--yes"];
        shipit.run(&self.fleet, &arguments, Output::Kept)?.success().map(|outcome| outcome.lasted)
    }

    fn run_script(&self, version: &str) -> Result<Duration> {
        self.fleet.write_app(&Behaviour::default(), version)?;
        let layout = &self.fleet.layout;
        let control = layout.sockets.join("control");
        fs::create_dir_all(&control).map_err(Error::file("create", &control))?;
        let script = workspace::root().join("tests/lab/bench/rolling.sh");
        let began = Instant::now();
        let output = Command::new("sh")
            .arg(&script)
            .arg(format!("floor-{version}"))
            .env("SSH_CONFIG", layout.ssh_config())
            .env("CONTROL", &control)
            .env("APP", layout.project().join("app"))
            .env("FLEET", &layout.root)
            .env("SOCKETS", &layout.sockets)
            .env("WEB", words(self.fleet.web.iter().map(|host| format!("{}={}", host.name, host.address))))
            .env("BALANCERS", words(self.fleet.balancers.iter().map(|host: &Host| host.name.clone())))
            .env("PORTS", words(self.fleet.spec.ports().iter().map(u16::to_string)))
            .stdin(Stdio::null())
            .output()
            .map_err(Error::program("sh"))?;
        let lasted = began.elapsed();
        if output.status.success() {
            return Ok(lasted);
        }
        Err(Error::Command {
            command: script.display().to_string(),
            status: output.status.to_string(),
            output: last_lines(&String::from_utf8_lossy(&output.stderr)),
        })
    }
}

fn words(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(" ")
}
