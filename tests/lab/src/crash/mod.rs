//! `cargo lab crash`: something befalls a deploy in the middle, at every step, and it is seen what becomes of the fleet and of the requests.
//!
//! Nothing here asks shipit how things are: haproxy, nginx and the processes of the app are asked themselves.

mod blow;
mod campaign;
mod diary;
mod end;
mod point;
mod struck;
mod table;
mod then;
mod whole;

use std::sync::Mutex;
use std::thread;

use clap::ValueEnum as _;

use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::shipit::Shipit;
use crate::workspace::Profile;
use crate::{interrupt, packages};

use campaign::campaign;
pub use end::End;
use table::{Row, Table};
pub use then::Then;

/// What to try.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Which strategies.
    #[arg(long, value_delimiter = ',', default_value = "rolling,hotswap,preboot")]
    pub strategy: Vec<String>,
    /// What befalls the deploy; everything there is if it is not said.
    #[arg(long, value_delimiter = ',')]
    pub end: Vec<End>,
    /// How many hosts.
    #[arg(long, default_value_t = 4)]
    pub hosts: u8,
    /// How many balancers.
    #[arg(long, default_value_t = 2)]
    pub balancers: u8,
    /// At how many moments of the deploy, spread over it; every step if it is not said.
    #[arg(long)]
    pub points: Option<usize>,
    /// Only at moments whose name has this in it, such as `flip`.
    #[arg(long)]
    pub at: Option<String>,
    /// What is run after it, in turn.
    #[arg(long, value_delimiter = ',', default_value = "deploy,resume,rollback,rollback-from-elsewhere")]
    pub then: Vec<Then>,
    /// How many fleets at once: most of the time is waiting for guards.
    #[arg(long, default_value_t = 3)]
    pub fleets: usize,
}

impl Options {
    /// A few moments of each strategy, with what befalls deploys most: every step of everything takes hours.
    #[must_use]
    pub fn sample() -> Self {
        Self {
            strategy: ["rolling", "hotswap", "preboot"].map(str::to_owned).to_vec(),
            end: vec![
                End::Kill,
                End::Github,
                End::CutHost,
                End::MuteBalancer,
                End::LoseHost,
                End::GuardHost,
                End::KillSecond,
            ],
            hosts: 3,
            balancers: 1,
            points: Some(2),
            at: None,
            then: Then::value_variants().to_vec(),
            fleets: 3,
        }
    }
}

/// Tries all of it; an error if anything was not as it must be.
pub fn run(options: &Options) -> Result<()> {
    packages::install(packages::FLEETS)?;
    interrupt::take_fleets_along();
    let shipit = Shipit::build(Profile::Debug)?;
    let ends = if options.end.is_empty() { End::value_variants() } else { &options.end };
    let campaigns = options.strategy.iter().flat_map(|strategy| ends.iter().map(move |end| (strategy, *end)));
    let next = Mutex::new(campaigns.enumerate());
    let table = Mutex::new(Table::new());
    let work = || {
        while let Some((number, (strategy, end))) = next.lock().ok().and_then(|mut next| next.next()) {
            let row = campaign(options, &shipit, strategy, end, number);
            if let Ok(mut table) = table.lock() {
                table.add(row.unwrap_or_else(|error| Row::broken(strategy, end, &error)));
            }
        }
    };
    thread::scope(|scope| (0..options.fleets.max(1)).for_each(|_| drop(scope.spawn(work))));
    table.into_inner().map_err(|_| Error::Failed("a campaign broke down".into()))?.verdict()
}
