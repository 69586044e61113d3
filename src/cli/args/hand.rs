//! The flags of what is done by hand.

use std::time::Duration;

use clap::Args;

use super::AnyEnvironment;
use super::how::duration;
use crate::model::{HostName, Selector};

/// Flags of `drain`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit drain web3 production         out of every balancer, and its last request is waited for
  shipit enable web3 production        in again, as soon as the balancers' own checks pass

While a deploy is under way it is refused (exit code 12); --lock-wait 10m waits for its end.")]
pub struct Drain {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: HostName,
    /// Where.
    #[command(flatten)]
    pub environment: AnyEnvironment,
    /// Even if fewer hosts than min-serving would be left, or a deploy is under way
    #[arg(long)]
    pub force: bool,
}

/// Flags of `enable`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit enable web3 production        waits until every balancer says that it is up

While a deploy is under way it is refused (exit code 12): the host may be out for its restart.")]
pub struct Enable {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: HostName,
    /// Where.
    #[command(flatten)]
    pub environment: AnyEnvironment,
    /// Even if a deploy is under way, which may have taken it out
    #[arg(long)]
    pub force: bool,
}

/// Flags of `exec`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  shipit exec production -- uptime
  shipit exec production --only role:app -- systemctl status app@4040
  shipit exec production -- 'df -h / | tail -n 1'

One word is a line of shell; several are a command and its arguments. It finds SHIPIT_HOST,
SHIPIT_ROOT and the inventory's vars in its environment. Exit code 0 only if all hosts had 0,
else 1.")]
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
