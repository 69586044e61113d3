//! The ways to lose a request.

use std::fmt;
use std::io;
use std::time::Duration;

use serde::Serialize;

/// A request that did not get its proper answer.
#[derive(Debug, Clone, Serialize)]
pub struct Loss {
    /// When it was sent, since the start of the load.
    #[serde(with = "crate::span")]
    pub at: Duration,
    /// How long it then took to be lost.
    #[serde(with = "crate::span")]
    pub after: Duration,
    /// Which class of clients sent it.
    pub class: &'static str,
    /// How it was lost.
    pub kind: LossKind,
    /// Details: the status, the error.
    pub detail: String,
    /// The release that answered, or else the one that answered this client last.
    pub release: String,
}

/// How a request was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// No connection could be made.
    Connect,
    /// The connection was reset.
    Reset,
    /// The connection was closed instead of an answer.
    Closed,
    /// The answer was a 5xx.
    ServerError,
    /// The answer was neither a 200 nor a 5xx.
    OtherStatus,
    /// The answer was cut short, or it was not the answer to what was sent.
    WrongBody,
    /// There was no answer in time.
    Timeout,
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Reset => "reset",
            Self::Closed => "closed instead of an answer",
            Self::ServerError => "server error",
            Self::OtherStatus => "unexpected status",
            Self::WrongBody => "wrong or truncated body",
            Self::Timeout => "no answer in time",
        })
    }
}

/// What a request came to, when it did not come to a good answer.
#[derive(Debug)]
pub struct Lost {
    /// How it was lost.
    pub kind: LossKind,
    /// Details.
    pub detail: String,
    /// The release that answered badly, if one did.
    pub release: Option<String>,
}

impl Lost {
    /// A loss without an answer.
    pub fn new(kind: LossKind, detail: &dyn ToString) -> Self {
        Self { kind, detail: detail.to_string(), release: None }
    }

    /// A connection that broke between a request and its answer.
    pub fn broken(error: &hyper::Error) -> Self {
        let kind = if is_reset(error) { LossKind::Reset } else { LossKind::Closed };
        Self::new(kind, error)
    }
}

fn is_reset(error: &hyper::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return matches!(io.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
        }
        cause = error.source();
    }
    false
}
