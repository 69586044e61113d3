//! The words of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::model::{Amount, AmountError, HostName, ReleaseId, RunId, Selector, StrategyName};
use crate::report::{ColourChoice, Output};
use crate::transport::word;

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
  shipit rollback production          go back to the release before

Exit codes:
   0  done                     20  failed and rolled back, all serving
   1  failed on a host (exec)  21  stopped, releases mixed, floor kept
   2  usage                    22  needs a person
  10  config                   23  cancelled in order
  11  preflight
  13  not confirmed

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
    /// Go back to the release before; needs nothing but the hosts
    Rollback(Rollback),
    /// Finish a deploy that was cut off
    Resume(Resume),
    /// Check the inventory and the recipe, and with --connect the hosts too
    Check(Check),
    /// Show what runs where
    Status(Environment),
    /// List the releases on the hosts
    Releases(Environment),
    /// List the runs that the hosts remember
    Runs(Runs),
    /// Show what a run did, on all hosts
    Logs(Logs),
    /// List hosts, or what a selector picks
    Hosts(Hosts),
    /// Take a host out of its balancers, by hand
    Drain(Drain),
    /// Put a host back into its balancers, by hand
    Enable(Enable),
    /// Run a command on hosts
    Exec(Exec),
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

/// The environment, or the only one there is.
#[derive(Debug, Clone, Args)]
pub struct AnyEnvironment {
    /// The environment [default: the only one in inventories/]
    #[arg(value_name = "ENV", env = "SHIPIT_ENV", hide_env = true)]
    pub environment: Option<String>,
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
  shipit deploy production --max-failures 1 --skip-unreachable     though a host is down

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
    /// Ship it although it, or one of the same content, was rolled back from
    #[arg(long)]
    pub force: bool,
    /// How.
    #[command(flatten)]
    pub how: How,
}

/// How a release goes over the fleet, and over which part of it.
#[derive(Debug, Clone, Default, Args)]
pub struct How {
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
    /// Leave out hosts that can't be reached; each counts as a failed one, so max-failures must allow for it
    #[arg(long, env = "SHIPIT_SKIP_UNREACHABLE", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub skip_unreachable: bool,
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

impl How {
    /// Whether the inventory's strategy and limits hold otherwise than they stand there together.
    pub fn overrides_limits(&self) -> bool {
        let limits = [self.max_in_flight, self.min_serving, self.max_failures];
        self.strategy.is_some() || limits.iter().any(Option::is_some)
    }

    /// The flags that say the same, as words of a shell: what a run notes, for another one to go on with.
    pub fn flags(&self) -> String {
        let text = |value: &dyn ToString| value.to_string();
        let flags = [
            ("strategy", self.strategy.as_ref().map(|it| text(it))),
            ("only", self.only.as_ref().map(|it| text(it))),
            ("except", self.except.as_ref().map(|it| text(it))),
            ("canary", (self.canary > 0).then(|| text(&self.canary))),
            ("bake", self.bake.map(|bake| format!("{}s", bake.as_secs()))),
            ("max-in-flight", self.max_in_flight.as_ref().map(|it| text(it))),
            ("min-serving", self.min_serving.as_ref().map(|it| text(it))),
            ("max-failures", self.max_failures.as_ref().map(|it| text(it))),
        ];
        let flags = flags.into_iter().filter_map(|(name, value)| Some(word(&format!("--{name}={}", value?))));
        flags.collect::<Vec<_>>().join(" ")
    }

    /// Reads what [`How::flags`] made. The variables of this process have no say in it.
    pub fn from_flags(flags: &str) -> Result<Self, String> {
        let words = shlex::split(flags).ok_or_else(|| "its quotes do not fit together".to_owned())?;
        let command = Self::augment_args(clap::Command::new("shipit").no_binary_name(true));
        let command = command.mut_args(|arg| arg.env(None::<&'static str>));
        let matches = command.try_get_matches_from(words).map_err(|error| error.kind().to_string())?;
        Self::from_arg_matches(&matches).map_err(|error| error.kind().to_string())
    }
}

/// Flags of `rollback`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit rollback                      the only environment there is, or SHIPIT_ENV
  shipit rollback production           to the last release that was confirmed before this one
  shipit rollback production --to 20261120-224512-1a2b3c4d
  shipit rollback production --strategy hotswap

It needs the hosts only: no git, no artifact, no file of an earlier job. The release that is left is
marked as bad, and is not deployed again without --force.")]
pub struct Rollback {
    /// Where.
    #[command(flatten)]
    pub environment: AnyEnvironment,
    /// A release that is on the hosts [default: the last one that was confirmed there before]
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<ReleaseId>,
    /// How.
    #[command(flatten)]
    pub how: How,
    /// Only show what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask, even if the inventory says `protected`
    #[arg(short, long, env = "SHIPIT_YES", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub yes: bool,
}

/// Flags of `resume`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit resume                        the only environment there is, or SHIPIT_ENV
  shipit resume production --skip-unreachable

The hosts' journals say which run was cut off and how it was started, so this works from any machine.")]
pub struct Resume {
    /// Where.
    #[command(flatten)]
    pub environment: AnyEnvironment,
    /// Leave out hosts that can't be reached; each counts as a failed one, so max-failures must allow for it
    #[arg(long)]
    pub skip_unreachable: bool,
    /// Only show what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask, even if the inventory says `protected`
    #[arg(short, long, env = "SHIPIT_YES", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub yes: bool,
}

/// Flags of `runs`.
#[derive(Debug, Clone, Args)]
pub struct Runs {
    /// Where.
    #[command(flatten)]
    pub environment: AnyEnvironment,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `logs`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit runs production
  shipit logs 20261121T021710Z-1a2b3c4d production")]
pub struct Logs {
    /// The run; `shipit runs` lists them
    pub run: RunId,
    /// Where.
    #[command(flatten)]
    pub environment: AnyEnvironment,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `drain`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit drain web3 production         out of every balancer, and its last request is waited for
  shipit enable web3 production        in again, as soon as the balancers' own checks pass")]
pub struct Drain {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: HostName,
    /// Where.
    #[command(flatten)]
    pub environment: AnyEnvironment,
    /// Even if fewer hosts than min-serving would be left
    #[arg(long)]
    pub force: bool,
}

/// Flags of `enable`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit enable web3 production        waits until every balancer says that it is up")]
pub struct Enable {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: HostName,
    /// Where.
    #[command(flatten)]
    pub environment: AnyEnvironment,
}

/// Flags of `exec`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit exec production -- uptime
  shipit exec production --only role:app -- systemctl status app@4040
  shipit exec production -- 'df -h / | tail -n 1'

One word is a line of shell; several are a command and its arguments. It finds SHIPIT_HOST, SHIPIT_ROOT
and the inventory's vars in its environment. Exit code 0 only if all hosts had 0, else 1.")]
pub struct Exec {
    /// Where.
    #[command(flatten)]
    pub environment: AnyEnvironment,
    /// Only these hosts: web3, 'web*', role:app, zone=a; a comma is "or"
    #[arg(long, value_name = "SEL", env = "SHIPIT_ONLY", hide_env = true)]
    pub only: Option<Selector>,
    /// Not these hosts; wins over --only
    #[arg(long, value_name = "SEL", env = "SHIPIT_EXCEPT", hide_env = true)]
    pub except: Option<Selector>,
    /// How long it may take on each host
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10m")]
    pub timeout: Duration,
    /// The command
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub command: Vec<String>,
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
