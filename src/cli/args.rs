//! The words of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::model::{Amount, AmountError, Selector, StrategyName};
use crate::report::{ColourChoice, Output};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  shipit check production             are the files right? goes to no host
  shipit check production --connect   are the hosts ready?
  shipit plan production              what would happen? changes nothing
  shipit deploy production            ship it
  shipit status production            what runs where?

Exit codes:
   0  done                     20  failed and rolled back, all serving
   2  usage                    21  stopped, releases mixed, floor kept
  10  config                   22  needs a person
  11  preflight                23  cancelled in order
  12  somebody else deploys    13  not confirmed

In CI, `exec shipit ...`, so that a cancelled job reaches it as a signal. Most options can be
given as SHIPIT_... in the environment too: SHIPIT_ENV, SHIPIT_MAX_IN_FLIGHT.";

/// The heading of the options that all commands have.
const GLOBAL: &str = "Global options";

/// Deploys a release to a fleet of servers without one failed request.
#[derive(Debug, Parser)]
#[command(name = "shipit", version, styles = STYLES, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    /// What holds for all verbs.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The project: where `inventories/` and `recipes/` are
    #[arg(
        short = 'C',
        long = "directory",
        value_name = "DIR",
        default_value = ".",
        global = true,
        help_heading = GLOBAL,
        env = "SHIPIT_DIRECTORY",
        hide_env = true
    )]
    pub directory: PathBuf,
    /// Say only what failed
    #[arg(short, long, global = true, help_heading = GLOBAL, env = "SHIPIT_QUIET", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub quiet: bool,
    /// Say more: each step, and what commands print
    #[arg(short, long, global = true, help_heading = GLOBAL, conflicts_with = "quiet", env = "SHIPIT_VERBOSE", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub verbose: bool,
    /// How progress is shown: auto, tty, plain or jsonl (events on standard output)
    #[arg(long, value_name = "FORM", default_value = "auto", global = true, help_heading = GLOBAL, env = "SHIPIT_OUTPUT", hide_env = true)]
    pub output: Output,
    /// How long to wait for somebody else's deploy to end; without it, that is an error at once
    #[arg(long, value_name = "DURATION", value_parser = duration, global = true, help_heading = GLOBAL, env = "SHIPIT_LOCK_WAIT", hide_env = true)]
    pub lock_wait: Option<Duration>,
    /// Whether to use colours: auto, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, help_heading = GLOBAL, env = "SHIPIT_COLOR", hide_env = true)]
    pub color: ColourChoice,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Put a release into service on every host
    Deploy(Deploy),
    /// Show what a deploy would do; changes nothing
    Plan(PlanArgs),
    /// Check the inventory and the recipe, and with --connect the hosts too
    Check(Check),
    /// Show what runs where
    Status(Environment),
    /// List the releases on the hosts
    Releases(Environment),
    /// List hosts, or what a selector picks
    Hosts(Hosts),
    /// Print shell completions or man pages
    #[command(subcommand)]
    Gen(Gen),
}

/// The environment alone.
#[derive(Debug, Clone, Args)]
pub struct Environment {
    /// The environment: `production` is inventories/production.toml
    #[arg(value_name = "ENV", env = "SHIPIT_ENV", hide_env = true)]
    pub environment: String,
}

/// Flags of `deploy`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit deploy production
  shipit deploy production --release v1.4.2           a branch, tag or commit of the recipe's git
  shipit deploy production --release 20261120-224512-1a2b3c4d      a release that is on the hosts
  shipit deploy production --only 'web1,zone=b' --max-in-flight 2
  shipit deploy production --canary 1 --bake 5m       one host first, watched for five minutes

The first Ctrl-C or SIGTERM lets open hosts finish and opens no other; the second puts the open
ones back as they were; the third ends shipit at once, whatever state that leaves.")]
pub struct Deploy {
    /// What and how.
    #[command(flatten)]
    pub choice: Choice,
    /// Only show what would happen, as `shipit plan` does
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask, even if the inventory says `protected`
    #[arg(short, long, env = "SHIPIT_YES", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub yes: bool,
}

/// Flags of `plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// What and how.
    #[command(flatten)]
    pub choice: Choice,
    /// Also show the scripts that would run on the hosts
    #[arg(long)]
    pub commands: bool,
    /// The plan as JSON
    #[arg(long, conflicts_with = "commands")]
    pub json: bool,
}

/// What to deploy and how.
#[derive(Debug, Clone, Args)]
pub struct Choice {
    /// Where to.
    #[command(flatten)]
    pub environment: Environment,
    /// A release that is on the hosts, or a branch, tag or commit of the recipe's git repository
    #[arg(long, value_name = "RELEASE", env = "SHIPIT_RELEASE", hide_env = true)]
    pub release: Option<String>,
    /// How the release goes over the fleet [possible: rolling, hotswap] [default: the inventory's]
    #[arg(long, value_name = "STRATEGY", env = "SHIPIT_STRATEGY", hide_env = true)]
    pub strategy: Option<StrategyName>,
    /// Only these hosts: web3, 'web*', role:app, zone=a; a comma is "or"
    #[arg(long, value_name = "SEL", env = "SHIPIT_ONLY", hide_env = true)]
    pub only: Option<Selector>,
    /// Not these hosts; wins over --only
    #[arg(long, value_name = "SEL", env = "SHIPIT_EXCEPT", hide_env = true)]
    pub except: Option<Selector>,
    /// So many hosts go first, before the rest
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true,
        env = "SHIPIT_CANARY",
        hide_env = true
    )]
    pub canary: usize,
    /// Watch the canaries so long before the rest goes, and put them back if they fail
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "canary", env = "SHIPIT_BAKE", hide_env = true)]
    pub bake: Option<Duration>,
    /// Most hosts out of service at once [default: the inventory's]
    #[arg(long, value_name = "N|P%", value_parser = in_flight, env = "SHIPIT_MAX_IN_FLIGHT", hide_env = true)]
    pub max_in_flight: Option<Amount>,
    /// Fewest hosts in service at any time [default: the inventory's]
    #[arg(long, value_name = "N|P%", env = "SHIPIT_MIN_SERVING", hide_env = true)]
    pub min_serving: Option<Amount>,
    /// Failed hosts that do not stop the deploy [default: the inventory's]
    #[arg(long, value_name = "N|P%", env = "SHIPIT_MAX_FAILURES", hide_env = true)]
    pub max_failures: Option<Amount>,
}

impl Cli {
    /// Reads the command line, and the variables of the environment that stand for flags; ends the process with a message
    /// if they make no sense.
    ///
    /// A variable that is empty is not set: CI systems pass inputs that nobody filled in like that.
    #[must_use]
    pub fn read() -> Self {
        let set = |arg: Arg| {
            let empty = arg.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
            if empty { arg.env(None::<&'static str>) } else { arg }
        };
        let command = Self::command().mut_args(set).mut_subcommands(|verb| verb.mut_args(set));
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

impl Choice {
    /// Whether the inventory's strategy and limits hold otherwise than they stand there together.
    pub fn overrides_limits(&self) -> bool {
        let limits = [self.max_in_flight, self.min_serving, self.max_failures];
        self.strategy.is_some() || limits.iter().any(Option::is_some)
    }
}

/// Flags of `check`.
#[derive(Debug, Clone, Args)]
pub struct Check {
    /// Which one.
    #[command(flatten)]
    pub environment: Environment,
    /// Also go to the hosts, changing nothing: ssh, sudo, paths, space, haproxy, health
    #[arg(long)]
    pub connect: bool,
}

/// Flags of `hosts`.
#[derive(Debug, Clone, Args)]
pub struct Hosts {
    /// Which environment.
    #[command(flatten)]
    pub environment: Environment,
    /// Only these hosts: web3, 'web*', role:app, zone=a; a comma is "or"
    #[arg(long, value_name = "SEL")]
    pub only: Option<Selector>,
    /// Not these hosts; wins over --only
    #[arg(long, value_name = "SEL")]
    pub except: Option<Selector>,
}

/// What can be generated.
#[derive(Debug, Clone, Subcommand)]
pub enum Gen {
    /// Completions for a shell, to standard output
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Man pages, into a directory
    Man {
        /// Where to write them
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

fn in_flight(text: &str) -> Result<Amount, String> {
    match text.parse().map_err(|error: AmountError| error.to_string())? {
        Amount::Count(0) | Amount::Percent(0) => Err("with no host in flight, nothing is ever deployed".to_owned()),
        amount => Ok(amount),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "write it as 30s, 5m or 1h30m".to_owned())?;
    Duration::try_from(span).map_err(|_| "a duration can't be negative".to_owned())
}
