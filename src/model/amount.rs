//! A number of hosts, absolute or as a share of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `3` or `"25%"`: so many hosts, or so many of every hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Amount {
    /// So many hosts.
    Count(u32),
    /// A share of the hosts, 0 to 100.
    Percent(u8),
}

/// Which way a share that is not a whole number of hosts goes.
///
/// Named at each call, because for a floor the safe way is up and for a bound it is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the next larger number: for what must be kept.
    Up,
    /// To the next smaller number: for what may be taken.
    Down,
}

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Neither a number nor a percentage.
    #[error("`{0}` is neither a number of hosts nor a percentage")]
    Malformed(String),
    /// More than all.
    #[error("`{0}` is more than 100%")]
    MoreThanAll(String),
}

impl Amount {
    /// How many of `total` hosts this is.
    #[must_use]
    pub fn of(self, total: usize, rounding: Rounding) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => {
                let hundredths = total * usize::from(percent);
                match rounding {
                    Rounding::Up => hundredths.div_ceil(100),
                    Rounding::Down => hundredths / 100,
                }
            }
        }
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let malformed = || AmountError::Malformed(text.to_owned());
        match text.strip_suffix('%') {
            None => text.parse().map(Self::Count).map_err(|_| malformed()),
            Some(share) => match share.trim_end().parse::<u32>() {
                Ok(percent) if percent <= 100 => Ok(Self::Percent(u8::try_from(percent).map_err(|_| malformed())?)),
                Ok(_) => Err(AmountError::MoreThanAll(text.to_owned())),
                Err(_) => Err(malformed()),
            },
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

impl TryFrom<String> for Amount {
    type Error = AmountError;

    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_rounds_the_way_that_is_asked_for() {
        let share: Amount = "25%".parse().unwrap();
        assert_eq!((share.of(6, Rounding::Up), share.of(6, Rounding::Down)), (2, 1));
        assert_eq!(Amount::Percent(100).of(7, Rounding::Down), 7);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "%", "-1", "1.5", "101%", "a", "25 percent"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }
}
