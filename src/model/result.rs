//! How a step ended: three ways, because a line may break before the answer comes.

use serde::{Deserialize, Serialize};

/// Why a step failed, in all that a tired person needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// What happened, as a sentence without its full stop.
    pub what: String,
    /// The command's exit code, where there was a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The last lines that it printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// It holds, as read back; with a few words on what was seen.
    Ok(String),
    /// It does not hold.
    Failed(Failure),
    /// Nobody knows: the line broke, and looking again was not possible either.
    Unknown(Failure),
}

/// What the words of a step say that ended something of a user's before its time.
const CUT_OFF: &str = "cut off";

impl StepResult {
    /// The words of a step that cut off what had outlived its time to drain: `2 connections left on 4040: cut off when …`.
    #[must_use]
    pub fn cut_off(&self) -> Option<&str> {
        match self {
            Self::Ok(words) if words.contains(CUT_OFF) => Some(words),
            _ => None,
        }
    }
}

impl Failure {
    /// A failure of which there is no more to say than `what`.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
