//! `cargo lab crash`: ends shipit in the middle, at every step, and sees what becomes of the fleet and of the requests.
//!
//! Nothing here asks shipit how things are: haproxy, nginx and the processes of the app are asked themselves.

mod table;
mod whole;

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::app::{Behaviour, Stop};
use crate::error::{Error, Result};
use crate::fleet::{Fleet, Spec};
use crate::load::{Load, Mix};
use crate::shipit::{Output, Shipit, Strike, events};
use crate::workspace::Profile;
use crate::{interrupt, packages};

use table::{Row, Table};
use whole::await_whole;

/// What to try.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Which strategies.
    #[arg(long, value_delimiter = ',', default_value = "rolling,hotswap,preboot")]
    pub strategy: Vec<String>,
    /// How shipit ends.
    #[arg(long, value_delimiter = ',', default_value = "kill,github")]
    pub end: Vec<End>,
    /// How many hosts.
    #[arg(long, default_value_t = 4)]
    pub hosts: u8,
    /// How many balancers.
    #[arg(long, default_value_t = 2)]
    pub balancers: u8,
    /// Every step, every second one, every tenth …
    #[arg(long, default_value_t = 1)]
    pub every: usize,
    /// What is run after each end, in turn: `deploy`, `rollback`, `resume`.
    #[arg(long, value_delimiter = ',', default_value = "deploy,resume,rollback")]
    pub then: Vec<String>,
}

impl Default for Options {
    /// A few ends of each strategy: every step takes the better part of an hour.
    fn default() -> Self {
        let strategy = ["rolling", "hotswap", "preboot"].map(str::to_owned).to_vec();
        let then = ["deploy", "resume", "rollback"].map(str::to_owned).to_vec();
        Self { strategy, end: vec![End::Kill], hosts: 3, balancers: 1, every: 13, then }
    }
}

/// How shipit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum End {
    /// By SIGKILL, as when the runner is switched off.
    Kill,
    /// As GitHub cancels a job: SIGINT, 7.5 s later SIGTERM, 2.5 s later SIGKILL.
    Github,
}

/// By then every server must be back, and every instance in.
const WHOLE_WITHIN: Duration = Duration::from_secs(20);

/// haproxy sends requests to a new server after two checks, half a second apart.
const SERVING_WITHIN: Duration = Duration::from_secs(20);

/// Tries all of it; an error if anything was not as it must be.
pub fn run(options: &Options) -> Result<()> {
    packages::install(packages::FLEETS)?;
    interrupt::take_fleets_along();
    let shipit = Shipit::build(Profile::Debug)?;
    let mut table = Table::new();
    for strategy in &options.strategy {
        for end in &options.end {
            table.add(campaign(options, &shipit, strategy, *end)?);
        }
    }
    table.verdict()
}

/// One strategy, ended in one way, at every step.
fn campaign(options: &Options, shipit: &Shipit, strategy: &str, end: End) -> Result<Row> {
    let preboot = strategy == "preboot";
    let spec = Spec { hosts: options.hosts, balancers: options.balancers, preboot, ..Spec::named("crash") };
    let fleet = Fleet::renew(spec)?;
    let behaviour = Behaviour { stop: Stop::Abrupt, ..Behaviour::default() };
    fleet.write_app(&behaviour, "0")?;
    shipit.deploy_first(&fleet, Output::Kept)?;
    fleet.await_servers_up(SERVING_WITHIN)?;
    // Requests that take long make every drain so long; these are in flight at every moment all the same.
    let mix = Mix { slow_for: Duration::from_millis(500), think: Duration::from_millis(50), ..Mix::default() };
    let load = Load::start_mix(fleet.frontends(), mix)?;
    let arguments = ["deploy", "lab", "--strategy", strategy, "--yes", "--output", "jsonl"];
    fleet.write_app(&behaviour, "reference")?;
    let reference = shipit.run(&fleet, &arguments, Output::Kept)?.success()?;
    let mut row = Row::new(strategy, end);
    let points = (1..=events(&reference.stdout)).step_by(options.every);
    for (number, after) in points.enumerate() {
        fleet.write_app(&behaviour, &format!("cut-{after}"))?;
        let strike = Strike { after, signals: end.signals() };
        let outcome = shipit.run_struck(&fleet, &arguments, Output::Kept, Some(&strike))?;
        let ended = Instant::now();
        row.ended(after, &outcome);
        match await_whole(&fleet, WHOLE_WITHIN) {
            Ok(()) => row.whole(ended.elapsed()),
            Err(error) => row.wrong(after, &error.to_string()),
        }
        let then = &options.then[number % options.then.len()];
        fleet.write_app(&behaviour, &format!("after-{after}"))?;
        let outcome = shipit.run(&fleet, &next(then, strategy), Output::Kept)?;
        row.then(after, &outcome);
        if let Err(error) = await_whole(&fleet, WHOLE_WITHIN).and_then(|()| whole::one_release(&fleet)) {
            row.wrong(after, &format!("after `{}`: {error}", outcome.command));
        }
        row.show();
    }
    std::thread::sleep(Duration::from_millis(2500));
    row.load(&load.stop()?);
    fleet.down()?;
    Ok(row)
}

fn next<'a>(then: &'a str, strategy: &'a str) -> Vec<&'a str> {
    match then {
        "deploy" => vec!["deploy", "lab", "--strategy", strategy, "--yes"],
        other => vec![other, "lab", "--yes"],
    }
}

impl End {
    fn signals(self) -> Vec<(Duration, Signal)> {
        match self {
            Self::Kill => vec![(Duration::ZERO, Signal::KILL)],
            Self::Github => vec![
                (Duration::ZERO, Signal::INT),
                (Duration::from_millis(7500), Signal::TERM),
                (Duration::from_millis(2500), Signal::KILL),
            ],
        }
    }
}
