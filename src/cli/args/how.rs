//! How a release goes over the fleet: flags that several verbs share.

use std::time::Duration;

use clap::{Args, FromArgMatches};

use crate::model::{Amount, AmountError, Selector, StrategyName};
use crate::transport::word;

/// How a release goes over the fleet, and over which part of it.
#[derive(Debug, Clone, Default, Args)]
pub struct How {
    /// How the release goes over the fleet [possible: rolling, hotswap, preboot] [default: the inventory's]
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

fn in_flight(text: &str) -> Result<Amount, String> {
    match text.parse().map_err(|error: AmountError| error.to_string())? {
        Amount::Count(0) | Amount::Percent(0) => Err("with no host in flight, nothing is ever deployed".to_owned()),
        amount => Ok(amount),
    }
}

/// A duration, as `30s` or `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "write it as 30s, 5m or 1h30m".to_owned())?;
    Duration::try_from(span).map_err(|_| "a duration can't be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_mean_the_same_to_whoever_goes_on() {
        let how = How {
            strategy: Some(StrategyName::Hotswap),
            only: Some("web*,zone=a b".parse().unwrap()),
            canary: 2,
            bake: Some(Duration::from_secs(90)),
            max_in_flight: Some(Amount::Percent(25)),
            ..How::default()
        };
        let again = How::from_flags(&how.flags()).unwrap();
        assert_eq!(again.flags(), how.flags());
        assert_eq!((again.bake, again.canary, again.only), (how.bake, how.canary, how.only));
        for text in ["--only", "--nonsense=1", "'", "--canary=x", "extra"] {
            assert!(How::from_flags(text).is_err(), "{text}");
        }
    }
}
