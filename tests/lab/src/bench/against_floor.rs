//! `cargo lab bench rolling` and `hotswap`: how much slower than bare shell is shipit, for the same steps and waits?
//!
//! Two fleets of the same shape stand side by side, one for each of the two, so that neither finds releases that the other
//! has made. They take turns, so that a machine that gets slower gets slower for both. There is a light load: without any
//! request a drain has nothing to wait for, and the usual load would measure the load client.

use std::time::Duration;

use serde::Serialize;

use super::contest::{Contender, Contest};
use super::{FEWEST_RUNS, least, median, print_json};
use crate::error::Result;
use crate::fleet::Spec;
use crate::load::{Load, Mix};
use crate::shipit::Shipit;
use crate::workspace::Profile;
use crate::{interrupt, packages, span};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many hosts.
    #[arg(long, default_value_t = 8)]
    pub hosts: u8,
    /// How long the app boots.
    #[arg(long, default_value = "3s", value_parser = span::parse)]
    pub boot: Duration,
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
    strategy: &'static str,
    hosts: u8,
    boot: f64,
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

/// Measures deploys by one strategy.
pub fn against_floor(contest: Contest, options: &Options) -> Result<()> {
    packages::install(packages::FLEETS)?;
    interrupt::take_fleets_along();
    let shipit = Shipit::build(Profile::Release)?;
    let spec = Spec { hosts: options.hosts, balancers: options.balancers, ..Spec::default() };
    let prepare = |name: &str| Contender::prepare(name, contest, options.boot, &spec);
    let fleets = [prepare("bench-floor")?, prepare("bench-shipit")?];
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
        strategy: contest.name(),
        hosts: options.hosts,
        boot: options.boot.as_secs_f64(),
        balancers: options.balancers,
        ratio: median(&seconds.1) / median(&seconds.0),
        floor: seconds.0,
        shipit: seconds.1,
        requests: report.sent(),
        failed: report.failed(),
    };
    if options.json {
        return print_json(&measurement);
    }
    measurement.print(contest);
    Ok(())
}

impl Measurement {
    fn print(&self, contest: Contest) {
        let (hosts, balancers, boot) = (self.hosts, self.balancers, self.boot);
        let words = contest.words();
        println!(
            "{} deploy of {hosts} hosts behind {balancers} haproxy, {words}; the app boots for {boot} s",
            self.strategy
        );
        for (name, seconds) in [("floor", &self.floor), ("shipit", &self.shipit)] {
            println!("  {name:<8} median {:>6.2} s   min {:>6.2} s", median(seconds), least(seconds));
        }
        println!(
            "  shipit ÷ floor, of the medians: {:.3}; {} requests, {} failed",
            self.ratio, self.requests, self.failed
        );
    }
}
