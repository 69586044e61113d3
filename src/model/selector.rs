//! Selectors: `web3`, `web*`, `role:app`, `zone=a`; a comma is "or".

use std::fmt;
use std::str::FromStr;

use super::{Host, HostName};

/// A choice of hosts: a host that fits any one term is picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(Vec<Term>);

/// One term of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// A name, in which `*` stands for anything.
    Name(String),
    /// `role:app`.
    Role(String),
    /// `zone=a`.
    Label(String, String),
}

/// Why a text is no selector, or one that can't be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// A comma with nothing before or after it.
    #[error("a selector has an empty term in `{0}`")]
    EmptyTerm(String),
    /// A term that fits no host.
    #[error("`{0}` picks no host")]
    PicksNothing(String),
}

impl Selector {
    /// Whether `host` is picked.
    #[must_use]
    pub fn picks(&self, host: &Host) -> bool {
        self.0.iter().any(|term| term.fits(host))
    }

    /// Fails if a term fits none of `hosts`: a misspelt host must not shrink a deploy in silence.
    pub fn check(&self, hosts: &[Host]) -> Result<(), SelectorError> {
        match self.0.iter().find(|term| !hosts.iter().any(|host| term.fits(host))) {
            None => Ok(()),
            Some(term) => Err(SelectorError::PicksNothing(term.to_string())),
        }
    }
}

impl Term {
    fn fits(&self, host: &Host) -> bool {
        match self {
            Self::Name(pattern) => fits(pattern, host.name.as_str()),
            Self::Role(role) => host.roles.iter().any(|one| one.as_str() == role),
            Self::Label(key, value) => host.labels.get(key) == Some(value),
        }
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any number of characters.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| fits(rest, &tail[at..]))
        }),
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let term = |part: &str| match (part.trim(), part.split_once('=')) {
            ("", _) => Err(SelectorError::EmptyTerm(text.to_owned())),
            (_, Some((key, value))) => Ok(Term::Label(key.trim().to_owned(), value.trim().to_owned())),
            (part, None) => Ok(match part.strip_prefix("role:") {
                Some(role) => Term::Role(role.to_owned()),
                None => Term::Name(part.to_owned()),
            }),
        };
        text.split(',').map(term).collect::<Result<_, _>>().map(Self)
    }
}

impl From<&HostName> for Selector {
    fn from(name: &HostName) -> Self {
        Self(vec![Term::Name(name.as_str().to_owned())])
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Role(role) => write!(f, "role:{role}"),
            Self::Label(key, value) => write!(f, "{key}={value}"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<_> = self.0.iter().map(Term::to_string).collect();
        f.write_str(&terms.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        let name: HostName = name.parse().unwrap();
        Host {
            address: (&name).into(),
            name,
            roles: ["app".parse().unwrap()].into(),
            labels: [("zone".to_owned(), "a".to_owned())].into(),
        }
    }

    #[test]
    fn each_form_picks_what_it_says() {
        for (text, picked) in [
            ("web1", true),
            ("web*", true),
            ("*1", true),
            ("w*b*1", true),
            ("web", false),
            ("role:app", true),
            ("role:lb", false),
            ("zone=a", true),
            ("zone=b", false),
            ("db1, web1", true),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().picks(&host("web1")), picked, "{text}");
        }
    }

    #[test]
    fn a_term_that_fits_nothing_is_named() {
        let selector: Selector = "web1,wbe2".parse().unwrap();
        assert_eq!(selector.check(&[host("web1")]), Err(SelectorError::PicksNothing("wbe2".to_owned())));
        assert!("web1,".parse::<Selector>().is_err());
    }
}
