//! The flags of the verbs that go by what the hosts remember.

use clap::Args;

use super::{AnyEnvironment, How};
use crate::model::{ReleaseId, RunId};

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

The hosts' journals say which run was cut off and how it was started, so this works from any
machine.")]
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
#[command(after_help = "\
Examples:
  shipit runs production
  shipit runs production --json | jq -r '.[0].outcome'

One that is `unfinished` is under way, as `shipit lock status` shows, or was cut off: `shipit
resume` finishes it, `shipit rollback` undoes it.")]
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
