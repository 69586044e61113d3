//! Texts with `{placeholders}` from a fixed set.

use std::collections::BTreeMap;
use std::fmt;

use super::{EnvironmentName, Host, Instance, ReleaseId};

/// A text with placeholders, checked when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text that stands for itself.
    Text(String),
    /// A value to be put in.
    Value(Placeholder),
}

/// What may stand between braces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placeholder {
    /// `{host}`: the host's name.
    Host,
    /// `{address}`: where ssh goes to.
    Address,
    /// `{port}`: the instance.
    Port,
    /// `{release}`: the release's id.
    Release,
    /// `{release-path}`: the release's directory.
    ReleasePath,
    /// `{environment}`: the inventory's name.
    Environment,
    /// `{vars.NAME}`: a value of the inventory's `[vars]`.
    Var(String),
}

/// Why a text is no template; `at` is the byte that the trouble begins at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A name that is none of the set.
    #[error("there is no placeholder `{{{name}}}`")]
    Unknown {
        /// What stood between the braces.
        name: String,
        /// Where the brace opens.
        at: usize,
    },
    /// A brace that is never closed.
    #[error("this `{{` is never closed")]
    Open {
        /// Where the brace opens.
        at: usize,
    },
}

/// The values that are known at one place of a deploy.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The host.
    pub host: &'a Host,
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The inventory's `[vars]`.
    pub vars: &'a BTreeMap<String, String>,
    /// The instance, where there is one.
    pub instance: Option<Instance>,
    /// The release and its directory, where there is one.
    pub release: Option<(&'a ReleaseId, &'a str)>,
}

impl Placeholder {
    /// The placeholder called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "host" => Self::Host,
            "address" => Self::Address,
            "port" => Self::Port,
            "release" => Self::Release,
            "release-path" => Self::ReleasePath,
            "environment" => Self::Environment,
            _ => Self::Var(name.strip_prefix("vars.").filter(|var| !var.is_empty())?.to_owned()),
        })
    }
}

impl Template {
    /// Reads `text`. `{{` and `}}` stand for single braces, and so does a brace that begins no word
    /// (`${HOME}` and `awk '{ print }'` are shell, not placeholders).
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            plain.push_str(&rest[..open]);
            let at = text.len() - rest.len() + open;
            let after = &rest[open + 1..];
            if rest[open..].starts_with("{{") || rest[open..].starts_with("}}") {
                plain.push_str(&rest[open..=open]);
                rest = &after[1..];
            } else if rest[open..].starts_with('{') && begins_word(after) && !plain.ends_with('$') {
                let close = after.find('}').ok_or(TemplateError::Open { at })?;
                let name = &after[..close];
                let value =
                    Placeholder::named(name).ok_or_else(|| TemplateError::Unknown { name: name.to_owned(), at })?;
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Value(value));
                rest = &after[close + 1..];
            } else {
                plain.push_str(&rest[open..=open]);
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }

    /// Its parts, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The placeholders in it, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Value(placeholder) => Some(placeholder),
        })
    }

    /// The text with the values put in as they are.
    #[must_use]
    pub fn plain(&self, scope: &Scope<'_>) -> String {
        self.render(|placeholder| scope.value(placeholder))
    }

    /// The text with each value put in by `write`, which may quote it.
    pub fn render(&self, write: impl Fn(&Placeholder) -> String) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Value(placeholder) => write(placeholder),
            })
            .collect()
    }
}

impl Scope<'_> {
    /// The value of `placeholder`; empty where it has none, which the check at load rules out.
    #[must_use]
    pub fn value(&self, placeholder: &Placeholder) -> String {
        match placeholder {
            Placeholder::Host => self.host.name.to_string(),
            Placeholder::Address => self.host.address.to_string(),
            Placeholder::Port => self.instance.map(|instance| instance.to_string()).unwrap_or_default(),
            Placeholder::Release => self.release.map(|(id, _)| id.to_string()).unwrap_or_default(),
            Placeholder::ReleasePath => self.release.map(|(_, path)| path.to_owned()).unwrap_or_default(),
            Placeholder::Environment => self.environment.to_string(),
            Placeholder::Var(name) => self.vars.get(name).cloned().unwrap_or_default(),
        }
    }
}

/// Whether a brace before `text` opens a placeholder: those begin with a small letter and no space.
fn begins_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("{host}"),
            Self::Address => f.write_str("{address}"),
            Self::Port => f.write_str("{port}"),
            Self::Release => f.write_str("{release}"),
            Self::ReleasePath => f.write_str("{release-path}"),
            Self::Environment => f.write_str("{environment}"),
            Self::Var(name) => write!(f, "{{vars.{name}}}"),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Placeholder::to_string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_braces_are_left_alone() {
        let text = "awk '{ print $1 }' ${HOME}/x{{y}} {port}";
        let template = Template::parse(text).unwrap();
        assert_eq!(template.placeholders().collect::<Vec<_>>(), [&Placeholder::Port]);
        assert_eq!(template.to_string(), "awk '{ print $1 }' ${HOME}/x{y} {port}");
    }

    #[test]
    fn a_misspelt_placeholder_is_an_error_at_its_brace() {
        assert_eq!(Template::parse("a {prot}"), Err(TemplateError::Unknown { name: "prot".to_owned(), at: 2 }));
        assert_eq!(Template::parse("a {port"), Err(TemplateError::Open { at: 2 }));
        assert!(Template::parse("{vars.}").is_err());
    }
}
