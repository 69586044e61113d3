//! `cargo lab demo`: deploys under load, and what became of the requests.

use std::io::{self, Write as _};
use std::time::Duration;

use crate::app::{Behaviour, Stop};
use crate::error::{Error, Result};
use crate::fleet::{Fleet, Spec};
use crate::load::{Load, Report};
use crate::shipit::{Output, Shipit};
use crate::workspace::Profile;
use crate::{interrupt, packages};

/// What the demo is asked to do.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Show shipit's own output, too.
    #[arg(long)]
    pub verbose: bool,
    /// Build shipit with optimisation: it takes minutes, and a deploy is no faster for it, since it waits most of the time.
    #[arg(long)]
    pub release: bool,
    /// Only the last of the fleets, which has it hardest.
    #[arg(long)]
    pub quick: bool,
}

/// The strategies that each fleet is deployed with, one after the other under one load.
const STRATEGIES: [&str; 3] = ["hotswap", "rolling", "preboot"];

/// haproxy sends requests to a new server after two checks, half a second apart.
const SERVING_WITHIN: Duration = Duration::from_secs(20);

/// A fleet of the demo: how its app takes a SIGTERM, and how many balancers must agree.
struct Scene {
    stop: Stop,
    balancers: u8,
}

const SCENES: [Scene; 4] = [
    Scene { stop: Stop::Graceful, balancers: 1 },
    Scene { stop: Stop::Graceful, balancers: 2 },
    Scene { stop: Stop::Abrupt, balancers: 1 },
    Scene { stop: Stop::Abrupt, balancers: 2 },
];

/// Runs the demo; an error if a single request was lost.
pub fn run(options: &Options) -> Result<()> {
    packages::install(packages::FLEETS)?;
    interrupt::take_fleets_along();
    println!("building shipit");
    let shipit = Shipit::build(if options.release { Profile::Release } else { Profile::Debug })?;

    println!();
    println!("Deploys to 4 hosts, 2 instances of the app on each: real sshd, nginx and haproxy on loopback.");
    println!(
        "Meanwhile 20 clients send requests and repeat none: GET, POST, kept connections and new ones, answers of 2 s."
    );
    println!();
    println!("  {:<28} {:<10} {:>8} {:>10} {:>7}", "app", "strategy", "deploy", "requests", "failed");
    let scenes = if options.quick { &SCENES[SCENES.len() - 1..] } else { &SCENES[..] };
    let reports = scenes.iter().map(|scene| scene.play(&shipit, options)).collect::<Result<Vec<_>>>()?;
    conclude(&reports)
}

fn conclude(reports: &[Report]) -> Result<()> {
    let sent: usize = reports.iter().map(Report::sent).sum();
    let failed: usize = reports.iter().map(Report::failed).sum();
    println!();
    println!("{sent} requests, {failed} failed");
    if failed == 0 {
        return Ok(());
    }
    for report in reports.iter().filter(|report| report.failed() > 0) {
        println!("\n{report}");
    }
    Err(Error::Failed(format!("{failed} requests were lost")))
}

impl Scene {
    fn play(&self, shipit: &Shipit, options: &Options) -> Result<Report> {
        let fleet = Fleet::renew(Spec { balancers: self.balancers, preboot: true, ..Spec::named("demo") })?;
        let behaviour = Behaviour { stop: self.stop, ..Behaviour::default() };
        let output = if options.verbose { Output::Shown } else { Output::Kept };

        fleet.write_app(&behaviour, "1")?;
        shipit.deploy_first(&fleet, output)?;
        fleet.await_servers_up(SERVING_WITHIN)?;
        let load = Load::start(fleet.frontends())?;
        for (number, strategy) in STRATEGIES.iter().enumerate() {
            let version = (number + 2).to_string();
            print!("  {:<28} {strategy:<10}", self.to_string());
            // Without a newline the row would stay in the buffer until its deploy is over.
            let _ = io::stdout().flush();
            let before = load.so_far();
            fleet.write_app(&behaviour, &version)?;
            let outcome = shipit.run(&fleet, &["deploy", "lab", "--strategy", strategy, "--yes"], output)?.success()?;
            let after = settled(&load);
            println!(" {:>6.1} s {:>10} {:>7}", outcome.lasted.as_secs_f64(), after.0 - before.0, after.1 - before.1);
            expect_everywhere(&fleet, &version)?;
        }
        let report = load.stop()?;
        fleet.down()?;
        Ok(report)
    }
}

impl std::fmt::Display for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stop = match self.stop {
            Stop::Graceful => "stops gracefully",
            Stop::Abrupt => "stops at once",
        };
        write!(f, "{stop}, {} haproxy", self.balancers)
    }
}

/// A request that the end of the deploy harmed is lost a moment later; slow ones take two seconds.
fn settled(load: &Load) -> (usize, usize) {
    std::thread::sleep(Duration::from_millis(2500));
    load.so_far()
}

/// Every process must have booted from this version.
fn expect_everywhere(fleet: &Fleet, version: &str) -> Result<()> {
    let others: Vec<String> = fleet
        .instances()
        .into_iter()
        .filter(|instance| instance.version.as_deref() != Some(version))
        .map(|instance| {
            let found = instance.version.map_or("no answer".into(), |found| format!("version {found}"));
            format!("{}:{}: {found}", instance.host, instance.port)
        })
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Error::Failed(format!("after the deploy not every instance is version {version}: {}", others.join(", "))))
}
