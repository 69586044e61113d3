//! The words of the command line.

mod hand;
mod history;
mod how;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::model::Selector;
use crate::report::{ColourChoice, Output};

pub use hand::{Drain, Enable, Exec};
pub use history::{Logs, Resume, Rollback, Runs};
pub use how::How;
use how::duration;

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
  shipit resume production            finish a deploy that was cut off

Exit codes:
   0  done                      13  not confirmed
   1  failed on a host (exec)   20  failed and rolled back, all serving
   2  usage                     21  stopped, releases mixed, floor kept
  10  config                    22  needs a person
  11  preflight                 23  cancelled in order
  12  lock held               130  ended at once by a third signal

What shipit leaves half done when it is killed is put back on the hosts within seconds.

In CI, `exec shipit ...`, so that a cancelled job reaches it as a signal. Most options can be
given as SHIPIT_... in the environment too: SHIPIT_ENV, SHIPIT_MAX_IN_FLIGHT.";

const STATUS: &str = "\
Examples:
  shipit status production

It asks the hosts' processes and the balancers, and changes nothing. It says who deploys, and
whether a run was cut off that nobody has settled.";

const RELEASES: &str = "\
Examples:
  shipit releases production
  shipit rollback production --to 20261120-224512-1a2b3c4d     any of them";

const LOCK: &str = "\
Examples:
  shipit lock status production
  shipit lock take production --reason 'the database moves'    nobody deploys until it is broken
  shipit lock break 20261121T021710Z-1a2b3c4d production       by the run that `lock status` names

A deploy takes the lock by itself, and whatever ends it frees the lock. `--lock-wait 10m` has a
deploy wait.";

const GEN: &str = "\
Examples:
  shipit gen completions bash > /etc/bash_completion.d/shipit
  shipit gen man ~/.local/share/man/man1";

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
    /// Go back to the release before; needs nothing but the hosts
    Rollback(Rollback),
    /// Finish a deploy that was cut off
    Resume(Resume),
    /// Check the inventory and the recipe, and with --connect the hosts too
    Check(Check),
    /// Show what runs where
    #[command(after_help = STATUS)]
    Status(Environment),
    /// List the releases on the hosts
    #[command(after_help = RELEASES)]
    Releases(Environment),
    /// Show, take or break the lock that keeps two deploys apart
    #[command(subcommand, after_help = LOCK)]
    Lock(Lock),
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
    #[command(subcommand, after_help = GEN)]
    Gen(Gen),
}

/// The environment alone.
#[derive(Debug, Clone, Args)]
pub struct Environment {
    /// The environment: `production` is inventories/production.toml
    #[arg(value_name = "ENV", env = "SHIPIT_ENV", hide_env = true)]
    pub environment: String,
}

/// What to do with the lock.
#[derive(Debug, Clone, Subcommand)]
pub enum Lock {
    /// Show who holds it; exit code 12 if somebody does
    Status {
        /// Where.
        #[command(flatten)]
        environment: AnyEnvironment,
    },
    /// Keep everybody from deploying, until it is broken
    Take {
        /// Where.
        #[command(flatten)]
        environment: AnyEnvironment,
        /// Why, for those who are kept from it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// End a lock that was taken, or a deploy whose shipit hangs: its guards put everything back
    Break {
        /// The run that holds it, as `shipit lock status` names it
        #[arg(value_name = "HOLDER")]
        holder: String,
        /// Where.
        #[command(flatten)]
        environment: AnyEnvironment,
    },
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
  shipit deploy production --strategy preboot         beside the old release, then all flip at once
  shipit deploy production --canary 1 --bake 5m       one host first, watched for five minutes
  shipit deploy production --max-failures 1 --skip-unreachable     though a host is down
  shipit deploy production --lock-wait 10m            after somebody else's deploy

The first Ctrl-C or SIGTERM lets open hosts finish and opens no other; the second puts the open
ones back as they were; the third ends shipit at once. Then, and if it is killed, guards on the
hosts put back what was under way; `shipit resume` finishes it, `shipit rollback` undoes it.")]
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
#[command(after_help = "\
Examples:
  shipit plan production                           waves, hosts, and the worst case
  shipit plan production -v                        each step, and what undoes it
  shipit plan production --strategy hotswap --commands | less      what the hosts are sent")]
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

/// Flags of `check`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit check production              exit code 10 if a file is wrong
  shipit check production --connect    exit code 11 if something stands in the way of a deploy")]
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
#[command(after_help = "\
Examples:
  shipit hosts production
  shipit hosts production --only 'web*,zone=a' --except web3")]
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
