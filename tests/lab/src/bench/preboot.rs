//! `cargo lab bench preboot`: how long does a preboot take beside a hot-swap of the same fleet?
//!
//! A hot-swap boots the instances of a host one after the other, a preboot all at once; so the longer an app boots, the closer the
//! ratio comes to one instance of a host to all of them. What the rest of a preboot takes is what is measured here.

use std::fs;
use std::time::Duration;

use serde::Serialize;

use super::{FEWEST_RUNS, least, median, print_json};
use crate::app::Behaviour;
use crate::error::{Error, Result};
use crate::fleet::{Fleet, Spec};
use crate::load::{Load, Mix};
use crate::shipit::{Output, Shipit};
use crate::workspace::Profile;
use crate::{interrupt, packages, span, wait};

/// haproxy sends requests to a new server after two checks, half a second apart.
const SERVING_WITHIN: Duration = Duration::from_secs(30);

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
    boot: f64,
    /// Seconds of each run.
    hotswap: Vec<f64>,
    preboot: Vec<f64>,
    /// The ratio of the medians.
    ratio: f64,
    /// Requests sent meanwhile, and lost.
    requests: usize,
    failed: usize,
}

/// Measures the two in turns, on one fleet.
pub fn preboot(options: &Options) -> Result<()> {
    packages::install(packages::FLEETS)?;
    interrupt::take_fleets_along();
    let shipit = Shipit::build(Profile::Release)?;
    let fleet =
        keeping_little(Fleet::renew(Spec { hosts: options.hosts, preboot: true, ..Spec::named("bench-preboot") })?)?;
    let behaviour = Behaviour { boot: options.boot, ..Behaviour::default() };
    let deploy = |strategy: &str, version: &str| {
        fleet.write_app(&behaviour, version)?;
        let outcome =
            shipit.run(&fleet, &["deploy", "lab", "--strategy", strategy, "--yes"], Output::Kept)?.success()?;
        Ok::<f64, Error>(outcome.lasted.as_secs_f64())
    };
    deploy("rolling", "0")?;
    fleet.await_servers_up(SERVING_WITHIN)?;
    let load = Load::start_mix(fleet.frontends(), Mix::light())?;
    let (mut hotswap, mut preboot) = (Vec::new(), Vec::new());
    for run in 1..=options.runs {
        hotswap.push(deploy("hotswap", &format!("{run}-hotswap"))?);
        preboot.push(deploy("preboot", &format!("{run}-preboot"))?);
        // What is still warm would have to be stopped by the next hot-swap.
        wait::until("the old release is stopped", SERVING_WITHIN, None, || {
            fleet.idle_instances().iter().all(|one| one.version.is_none()).then_some(())
        })?;
        eprintln!(
            "run {run}: hotswap {:.2} s, preboot {:.2} s",
            hotswap[hotswap.len() - 1],
            preboot[preboot.len() - 1]
        );
    }
    let report = load.stop()?;
    fleet.down()?;
    let measurement = Measurement {
        hosts: options.hosts,
        boot: options.boot.as_secs_f64(),
        ratio: median(&preboot) / median(&hotswap),
        hotswap,
        preboot,
        requests: report.sent(),
        failed: report.failed(),
    };
    if options.json {
        return print_json(&measurement);
    }
    measurement.print();
    Ok(())
}

/// The fleet with a recipe that keeps nothing warm for long.
fn keeping_little(fleet: Fleet) -> Result<Fleet> {
    let path = fleet.layout.project().join("recipes/lab.toml");
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let text = text.replace("keep-warm = \"1m\"", "keep-warm = \"1s\"");
    fs::write(&path, text).map_err(Error::file("write", &path))?;
    Ok(fleet)
}

impl Measurement {
    fn print(&self) {
        println!("deploy of {} hosts, 2 instances each, of an app that boots for {} s", self.hosts, self.boot);
        for (name, seconds) in [("hotswap", &self.hotswap), ("preboot", &self.preboot)] {
            println!("  {name:<8} median {:>6.2} s   min {:>6.2} s", median(seconds), least(seconds));
        }
        println!(
            "  preboot ÷ hotswap, of the medians: {:.3}; {} requests, {} failed",
            self.ratio, self.requests, self.failed
        );
    }
}
