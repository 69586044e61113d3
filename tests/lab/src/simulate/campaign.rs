//! Many simulations, and what came of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use shipit::model::StrategyName;

use super::deploy::Exit;
use super::fault::{Counts, Fault};
use super::sabotage::Sabotage;
use super::setup::{Base, Setup};
use super::story::{Told, play};
use super::{crash, fault};
use crate::error::{Error, Result};

/// What `cargo lab simulate` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// So many fleets, each with a deploy that faults happen to and what follows it.
    #[arg(long, default_value_t = 10_000)]
    pub deploys: u64,
    /// The seed of the first; each of the others has the next one.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only this strategy.
    #[arg(long, value_parser = |text: &str| text.parse::<StrategyName>())]
    pub strategy: Option<StrategyName>,
    /// Take protections away one at a time, and see that each is missed.
    #[arg(long)]
    pub sabotage: bool,
}

/// Every one of so many simulations is played twice, to see that it can be.
const TWICE: u64 = 50;

/// So many simulations in vain mean that a sabotage is not noticed.
const PATIENCE: u64 = 15_000;

/// Plays, and says what came of it.
pub fn run(options: &Options) -> Result<()> {
    let base = Base::read()?;
    if options.sabotage {
        return sabotage(&base, options);
    }
    if options.deploys == 1 {
        return replay(&base, options);
    }
    let crashes = crash::everywhere(&base);
    println!(
        "killed at every point of a deploy to 4 hosts: {} simulations, {} violations",
        crashes.played,
        crashes.failed.len()
    );
    let began = Instant::now();
    let sum = campaign(&base, options, None);
    sum.print(options, began.elapsed().as_secs_f64());
    let silent: Vec<_> = Fault::ALL.into_iter().filter(|fault| sum.counts.of(*fault) == 0).collect();
    if let Some((words, violations)) = crashes.failed.first() {
        return Err(Error::Failed(format!("{words}\n  {}", violations.join("\n  "))));
    }
    if let Some(seed) = sum.failed.keys().next() {
        println!("\nthe first one again:");
        let _ = replay(&base, &Options { seed: *seed, deploys: 1, ..options.clone() });
        return Err(Error::Failed(format!("{} of {} simulations broke a promise", sum.failed.len(), options.deploys)));
    }
    if !silent.is_empty() && options.deploys >= 1000 {
        let names: Vec<_> = silent.iter().map(ToString::to_string).collect();
        return Err(Error::Failed(format!("these faults never happened: {}", names.join(", "))));
    }
    Ok(())
}

/// What came of many.
#[derive(Default)]
struct Sum {
    counts: Counts,
    deploys: u64,
    flips_back: u64,
    exits: BTreeMap<String, u64>,
    /// The violations by seed.
    failed: BTreeMap<u64, Vec<String>>,
}

impl Sum {
    fn add(&mut self, seed: u64, told: Told) {
        self.counts.join(&told.counts);
        self.deploys += told.deploys;
        self.flips_back += told.flips_back;
        for exit in &told.exits {
            *self.exits.entry(code(exit)).or_default() += 1;
        }
        if !told.violations.is_empty() {
            self.failed.insert(seed, told.violations);
        }
    }

    fn join(&mut self, other: Self) {
        self.counts.join(&other.counts);
        self.deploys += other.deploys;
        self.flips_back += other.flips_back;
        other.exits.into_iter().for_each(|(exit, count)| *self.exits.entry(exit).or_default() += count);
        self.failed.extend(other.failed);
    }

    fn print(&self, options: &Options, seconds: f64) {
        let cores = cores();
        println!(
            "{} simulations with {} deploys in {seconds:.1} s on {cores} threads: {:.0} deploys a second and thread",
            options.deploys,
            self.deploys,
            per_second(self.deploys, seconds) / cores_as_number(cores),
        );
        println!("\nfaults: {}", self.counts.total());
        for fault in fault::Fault::ALL {
            println!("  {fault:<40} {:>8}", self.counts.of(fault));
        }
        println!("\nwaves that flipped to a release that was still warm: {}", self.flips_back);
        println!("\nends:");
        for (exit, count) in &self.exits {
            println!("  {exit:<40} {count:>8}");
        }
        println!("\nviolations: {}", self.failed.len());
        for (seed, violations) in self.failed.iter().take(20) {
            println!("  seed {seed}: {}", violations[0]);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

#[expect(clippy::cast_precision_loss, reason = "a handful")]
fn cores_as_number(cores: usize) -> f64 {
    cores as f64
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn code(exit: &Exit) -> String {
    match exit {
        Exit::Nothing => "0 nothing to do".to_owned(),
        Exit::Run(end) => format!("{} {}", end.code(), end.words()),
        Exit::Preflight(_) => "11 refused".to_owned(),
        Exit::Locked => "12 held by another".to_owned(),
        Exit::Killed => "killed".to_owned(),
    }
}

/// Plays all seeds, on all cores.
fn campaign(base: &Base, options: &Options, sabotage: Option<Sabotage>) -> Sum {
    let next = AtomicU64::new(0);
    let work = || {
        let mut sum = Sum::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= options.deploys {
                return sum;
            }
            let seed = options.seed.wrapping_add(number);
            sum.add(seed, play_checked(base, seed, options.strategy, sabotage));
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(work)).collect();
        let mut sum = Sum::default();
        for thread in threads {
            match thread.join() {
                Ok(part) => sum.join(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        sum
    })
}

/// Plays a seed; now and then twice.
fn play_checked(base: &Base, seed: u64, strategy: Option<StrategyName>, sabotage: Option<Sabotage>) -> Told {
    let setup = Setup::draw(base, seed, strategy, sabotage);
    let mut told = play(setup.clone(), false);
    if seed.is_multiple_of(TWICE) && play(setup, false).fingerprint != told.fingerprint {
        told.violations.push("played again, it went another way".to_owned());
    }
    told
}

/// Plays one seed twice, and tells its history.
fn replay(base: &Base, options: &Options) -> Result<()> {
    let setup = Setup::draw(base, options.seed, options.strategy, None);
    println!("seed {}: {}\n", options.seed, setup.words());
    let told = play(setup.clone(), true);
    told.lines.iter().for_each(|line| println!("{line}"));
    let same = play(setup, false).fingerprint == told.fingerprint;
    println!("\nends: {}", told.exits.iter().map(code).collect::<Vec<_>>().join("; "));
    println!("played again, it {}", if same { "went the same way" } else { "WENT ANOTHER WAY" });
    told.violations.iter().for_each(|violation| println!("violated: {violation}"));
    if told.violations.is_empty() && same { Ok(()) } else { Err(Error::Failed("a promise is broken".to_owned())) }
}

/// Takes protections away one at a time.
fn sabotage(base: &Base, options: &Options) -> Result<()> {
    let mut caught = 0;
    for sabotage in Sabotage::ALL {
        let found = (0..PATIENCE).find_map(|number| {
            let seed = options.seed.wrapping_add(number);
            let mut setup = Setup::draw(base, seed, options.strategy, Some(sabotage));
            let violation = play(setup.clone(), false).violations.into_iter().next()?;
            // It must be the sabotage that is noticed, and nothing else.
            setup.sabotage = None;
            play(setup, false).violations.is_empty().then_some((number, seed, violation))
        });
        match found {
            Some((number, seed, violation)) => {
                caught += 1;
                println!("{sabotage:<60} after {:>4}, seed {seed}: {violation}", number + 1);
            }
            None => println!("{sabotage:<60} NOT NOTICED in {PATIENCE}"),
        }
    }
    let all = Sabotage::ALL.len();
    println!("\n{caught} of {all} noticed");
    if caught == all { Ok(()) } else { Err(Error::Failed(format!("{} were not noticed", all - caught))) }
}
