//! Names: words that reach command lines, paths and haproxy's socket, so their grammar is narrow.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name that is accepted: what DNS allows for a host.
const LONGEST: usize = 253;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// Longer than a host name may be.
    #[error("is longer than {LONGEST} characters")]
    TooLong,
    /// Could be taken for an option or a hidden file.
    #[error("begins with `{0}`; a name begins with a letter or a digit")]
    Beginning(char),
    /// A character outside the grammar.
    #[error("holds `{}`; a name is made of letters, digits, `.`, `_` and `-`", .0.escape_default())]
    Character(char),
}

/// Checks `text` against the grammar of all names: letters, digits, `.`, `_`, `-`; the first one a letter or digit.
///
/// A name of this form is one word for a shell, no option for a command, no path and no haproxy command.
fn check(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > LONGEST {
        return Err(NameError::TooLong);
    }
    if let Some(odd) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')) {
        return Err(NameError::Character(odd));
    }
    if !first.is_ascii_alphanumeric() {
        return Err(NameError::Beginning(first));
    }
    Ok(())
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )+};
}

names! {
    /// A host's name in the inventory; never an address.
    HostName,
    /// What a host is for, such as `app` or `lb`.
    Role,
    /// What is deployed to: `production` is `inventories/production.toml`.
    EnvironmentName,
    /// How an app is shipped: `web` is `recipes/web.toml`.
    RecipeName,
    /// A task's name.
    TaskName,
    /// A backend of haproxy.
    BackendName,
    /// A host's name in a backend.
    ServerName,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_an_option_a_path_or_shell_is_no_name() {
        for text in ["", "-oProxyCommand=x", ".hidden", "a/b", "a b", "a;b", "$(x)", "a\nb", "é", "a:b"] {
            assert!(text.parse::<HostName>().is_err(), "{text:?}");
        }
        for text in ["web1", "web-1.example.com", "1", "a_b"] {
            assert!(text.parse::<HostName>().is_ok(), "{text:?}");
        }
    }
}
