//! Scenarios on real servers: what happens to a fleet, what shipit is told to do, and how it all must end.
//!
//! Each is a file of `tests/lab/scenarios`, so that a reviewer reads what is promised and not how it is tested.

mod expectation;
mod faults;
mod file;
mod merge;
mod play;

use std::fs;
use std::io::{self, Write as _};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::shipit::Shipit;
use crate::workspace::{self, Profile};
use crate::{interrupt, packages};

pub use file::Scenario;

/// Which scenarios to run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Only these; all if none is named.
    pub names: Vec<String>,
    /// Leave the fleet of a failed scenario standing, and stop there.
    #[arg(long)]
    pub keep: bool,
    /// Leave out those that take long.
    #[arg(long)]
    pub quick: bool,
}

/// How a scenario went.
enum Verdict {
    /// With so many requests meanwhile.
    Passed(usize),
    Skipped(String),
    Failed(Vec<String>),
}

/// Runs scenarios, a line for each; an error if one failed.
pub fn run(options: &Options) -> Result<()> {
    packages::install(packages::FLEETS)?;
    interrupt::take_fleets_along();
    let scenarios = chosen(&options.names)?;
    let shipit = Shipit::build(Profile::Debug)?;
    let (mut passed, mut failed) = (0, 0);
    for (name, scenario) in scenarios.iter().filter(|(_, scenario)| !(options.quick && scenario.long)) {
        print!("{name:<44}");
        let _ = io::stdout().flush();
        let began = Instant::now();
        // A scenario that cannot even be set up has failed, and says nothing about the others.
        let verdict = play::play(scenario, &shipit, options.keep)
            .unwrap_or_else(|error| Verdict::Failed(vec![error.to_string()]));
        match verdict {
            Verdict::Passed(sent) => {
                passed += 1;
                println!("ok      {:>6.1} s {sent:>7} requests", began.elapsed().as_secs_f64());
            }
            Verdict::Skipped(reason) => println!("skipped {reason}"),
            Verdict::Failed(reasons) => {
                failed += 1;
                println!("FAILED  {:>6.1} s", began.elapsed().as_secs_f64());
                println!("  {}", scenario.about);
                for reason in reasons {
                    println!("  {}", reason.trim_end().replace('\n', "\n  "));
                }
                if options.keep {
                    break;
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed > 0 { Err(Error::Failed(format!("{failed} scenarios failed"))) } else { Ok(()) }
}

/// The scenarios of these names, or all, by name.
fn chosen(names: &[String]) -> Result<Vec<(String, Scenario)>> {
    let directory = workspace::root().join("tests/lab/scenarios");
    let entries = fs::read_dir(&directory).map_err(Error::file("read", &directory))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut known: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    known.sort();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(Error::Refused(format!("there is no scenario `{unknown}`; there are: {}", known.join(", "))));
    }
    known
        .into_iter()
        .filter(|name| names.is_empty() || names.contains(name))
        .map(|name| Ok((name.clone(), Scenario::read(&directory.join(format!("{name}.toml")))?)))
        .collect()
}
