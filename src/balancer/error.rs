//! What can go wrong between shipit and the balancers.

use std::fmt;
use std::time::Duration;

use crate::model::{BackendName, BalancerKey, HostName, ServerName, ServerState, clean, friendly};

use super::watch::WatchReport;

/// A host's place in one backend on one balancer host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The balancer host and the backend.
    pub key: BalancerKey,
    /// The host's name there.
    pub server: ServerName,
}

/// Why the balancers are not as they were asked to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BalancerError {
    /// The runtime socket does not answer.
    #[error("haproxy on `{host}` does not answer: {why}")]
    Unreachable {
        /// The balancer host.
        host: HostName,
        /// What was tried, and what came of it.
        why: String,
        /// The way out.
        help: Option<String>,
    },
    /// The answer does not read as one of haproxy's.
    #[error("haproxy on `{host}` answered oddly: {why}")]
    Garbled {
        /// The balancer host.
        host: HostName,
        /// What is wrong with it.
        why: String,
    },
    /// The balancer has no such backend.
    #[error("haproxy on `{}` has no backend `{}`", .0.host, .0.backend)]
    NoSuchBackend(BalancerKey),
    /// The backend has no such server.
    #[error("backend `{}` on `{}` has no server `{}`", .target.key.backend, .target.key.host, .target.server)]
    NoSuchServer {
        /// What was looked for.
        target: Target,
        /// The servers that it has.
        known: Vec<String>,
    },
    /// A host's name in a backend, made from the inventory's template, is none.
    #[error("`{name}`, the name of `{host}` in backend `{backend}`, {why}")]
    NoName {
        /// The host.
        host: HostName,
        /// The backend.
        backend: BackendName,
        /// What the template gave.
        name: String,
        /// What is wrong with it.
        why: crate::model::NameError,
    },
    /// haproxy said no.
    #[error("haproxy refused to set {target} to {wanted}: {answer}")]
    Refused {
        /// The server.
        target: Target,
        /// What was asked.
        wanted: String,
        /// haproxy's words.
        answer: String,
    },
    /// A server is out of service, and not by this run's doing.
    #[error("{target} is in {state}: somebody took it out meanwhile")]
    TakenOut {
        /// The server.
        target: Target,
        /// Its state.
        state: ServerState,
    },
    /// A state that was set did not hold: somebody else set another one.
    #[error("{target} was set to {wanted}, and is {found}")]
    NotHeld {
        /// The server.
        target: Target,
        /// What shipit set.
        wanted: ServerState,
        /// What it is now.
        found: ServerState,
    },
    /// Requests were still in flight when the drain's time was over.
    #[error("{target} still had {} in flight after {}", requests(*.left), friendly(*.waited))]
    StillBusy {
        /// The server.
        target: Target,
        /// How many.
        left: u64,
        /// How long the drain took.
        waited: Duration,
    },
    /// haproxy was reloaded, and its old process may still carry requests to the server.
    #[error("haproxy on `{}` was reloaded, and its old process was still there after {}", .target.key.host, friendly(*.waited))]
    OldProcess {
        /// The server.
        target: Target,
        /// How long the drain took.
        waited: Duration,
    },
    /// The balancer's checks did not pass.
    #[error("{target} was not up after {}: haproxy says `{status}`", friendly(*.waited))]
    NotUp {
        /// The server.
        target: Target,
        /// haproxy's words for its status and its last check.
        status: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A server that was watched went out of service.
    #[error("{target} went out of service while it was watched: haproxy says `{status}`")]
    Left {
        /// The server.
        target: Target,
        /// haproxy's words for its status and its last check.
        status: String,
    },
    /// A server that was watched failed more requests than its siblings.
    #[error("`{host}` fails a larger share of its requests than its siblings: {report}")]
    Faulty {
        /// The host.
        host: HostName,
        /// What was counted.
        report: WatchReport,
    },
    /// More than one balancer is in trouble.
    #[error("{}", .0.iter().map(Self::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
    /// Something failed, and so did putting the servers back as they were.
    #[error("{cause}; then putting it back failed: {undo}")]
    NotRestored {
        /// What failed first.
        cause: Box<Self>,
        /// What failed in putting things back.
        undo: Box<Self>,
    },
}

impl BalancerError {
    /// Whether it only says that a balancer does not answer, so that nothing is known of it.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Several(all) => all.iter().all(Self::is_silence),
            Self::NotRestored { cause, undo } => cause.is_silence() && undo.is_silence(),
            _ => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Unreachable { help, .. } => return help.clone(),
            Self::Garbled { .. } => "see that `socket` in the inventory is haproxy's own `stats socket`".to_owned(),
            Self::NoSuchBackend(key) => format!("see `backend` in the inventory, and haproxy.cfg on `{}`", key.host),
            Self::NoSuchServer { target, known } => return Some(missing_server(target.server.as_str(), known)),
            Self::NoName { .. } => "see `server` of that balancer in the inventory".to_owned(),
            Self::Refused { target, answer, .. } if answer.contains("Permission denied") => no_admin(&target.key.host),
            Self::Refused { target, .. } => format!("see haproxy.cfg on `{}`", target.key.host),
            Self::TakenOut { .. } => "it stays out, and as it was: put it back, then deploy again".to_owned(),
            Self::NotHeld { .. } => "somebody else is at work on this balancer: agree with them, then deploy again".into(),
            Self::StillBusy { .. } => {
                "raise `timeout` in the recipe's [drain] to the longest request, or set `leftover = \"cut\"` for endless streams"
                    .to_owned()
            }
            Self::OldProcess { .. } => {
                "set `hard-stop-after` in haproxy.cfg to the longest request, so that old processes end".to_owned()
            }
            Self::NotUp { target, .. } | Self::Left { target, .. } => {
                format!("compare haproxy's check of backend `{}` with the recipe's health check", target.key.backend)
            }
            Self::Faulty { .. } => "read the logs on that host: the app's, and its web server's if haproxy goes to one".to_owned(),
            Self::Several(all) => return all.iter().find_map(Self::help),
            Self::NotRestored { undo, .. } => {
                let advice = undo.help().map(|help| format!("; {help}")).unwrap_or_default();
                format!("look at the host's state on every balancer with `shipit status`{advice}")
            }
        };
        Some(help)
    }

    /// One error for all of `faults`; `None` if there are none.
    pub(super) fn of(mut faults: Vec<Self>) -> Option<Self> {
        match faults.len() {
            0 => None,
            1 => faults.pop(),
            _ => Some(Self::Several(faults)),
        }
    }
}

/// The way out where a backend has no `server`, and these are the ones that it has.
pub(super) fn missing_server<S: AsRef<str>>(server: &str, known: &[S]) -> String {
    // One slip for every three letters; and a name with or without its domain.
    let slips = |name: &str| {
        let begins = name.starts_with(server) || server.starts_with(name);
        if begins { 0 } else { strsim::damerau_levenshtein(server, name) }
    };
    let near = known.iter().map(AsRef::as_ref).min_by_key(|name| slips(name));
    match near.filter(|name| slips(name) <= (server.len() / 3).max(1)) {
        Some(name) => format!("did you mean `{}`? `server` in the inventory makes the name", clean(name)),
        None => "see `server` in the inventory, which makes the name".to_owned(),
    }
}

/// The way out where the socket takes no orders.
pub(super) fn no_admin(host: &HostName) -> String {
    format!("give haproxy.cfg on `{host}` a `stats socket … level admin`")
}

/// `count` requests, in words.
pub(super) fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}/{}` on `{}`", self.key.backend, self.server, self.key.host)
    }
}
