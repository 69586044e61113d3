//! The way to a host: sessions that run scripts.
//!
//! The traits hold the verbs of the wire (connect, run, upload, forward), never those of a deploy, so that
//! another transport is a small thing to write.

mod answer;
mod bastions;
mod connect_error;
mod control_dir;
mod exec;
mod frame;
mod lean;
mod leash;
mod limits;
mod master;
mod openssh;
mod parcel;
mod script;
mod site;
mod ssh_config;
mod ssh_session;

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::model::Host;

pub use frame::standing;
pub use limits::Limits;
pub use openssh::{OpenSsh, StartError};
pub use parcel::Parcel;
pub use script::{Script, quote, word};
pub use ssh_session::SshSession;

/// Opens sessions.
pub trait Transport: Send + Sync + 'static {
    /// What it opens.
    type Session: Session;

    /// Opens a session to `host`. Sends nothing to a host whose key is not the known one.
    fn connect(&self, host: &Host) -> impl Future<Output = Result<Self::Session, ConnectError>> + Send;

    /// A directory on this machine for what is sent to hosts. It is gone when shipit has ended, also if that was by `kill -9`.
    fn scratch(&self) -> &Path;
}

/// An open way to one host, for the whole run. Calls may overlap; the session keeps to sshd's limit of channels.
pub trait Session: Send + Sync + 'static {
    /// Runs `script` under the host's `sh` and waits at most `deadline`. A time-out or a broken line does not mean that
    /// the script did nothing, or that it has ended.
    ///
    /// Standard input is empty, messages are in English (`LC_ALL=C`), and `sbin` is in the path. The script may call
    /// `progress TEXT` to say one line to `progress` at once, and `exit` where it likes.
    fn run(
        &self,
        script: &Script,
        deadline: Duration,
        progress: &Progress,
    ) -> impl Future<Output = Result<Output, ExecError>> + Send;

    /// Runs the `parcel`'s script, with its content as standard input. `progress` hears how much of it has been sent, as
    /// in `12.3 of 50.0 MB`.
    ///
    /// A connection may break at any byte, so the script has to check what it got.
    fn upload(
        &self,
        parcel: &Parcel,
        deadline: Duration,
        progress: &Progress,
    ) -> impl Future<Output = Result<Output, ExecError>> + Send;

    /// Runs `script` with `lines` as its standard input, each as it comes, until the script ends. What it says to `progress`
    /// is heard by `heard`, at once. There is no deadline: input ends when `lines` does, when this is dropped, or when the
    /// line breaks, and a script may take any of them for a sign. It does not count as one of the calls that run at once.
    fn converse(
        &self,
        script: &Script,
        lines: UnboundedReceiver<String>,
        heard: &Progress,
    ) -> impl Future<Output = Result<Output, ExecError>> + Send;

    /// Forwards the unix socket at `remote` on the host to a local one, whose path is returned. That a forward is there
    /// does not mean that anybody answers on it. It ends with the connection: when the local one refuses, ask again.
    fn forward(&self, remote: &str) -> impl Future<Output = Result<PathBuf, ExecError>> + Send;

    /// Ends the session and everything that it started on this machine.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Where a step's words about its progress go while it runs.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(&str) + Send + Sync>);

/// What a script left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Its exit code; 128 + N if signal N ended it.
    pub code: i32,
    /// Its standard output, without the lines for [`Progress`]; the first megabyte of it.
    pub stdout: String,
    /// Its standard error; the last 64 kilobytes of it.
    pub stderr: String,
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ConnectError {
    /// What went wrong, in ssh's words where they say it best.
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Why it is not known what a script did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// The line broke before the answer came.
    #[error("the answer got lost: {0}")]
    Lost(String),
    /// No answer within the deadline.
    #[error("no answer within {}", crate::model::friendly(*.0))]
    TimedOut(Duration),
}

impl Progress {
    /// Sends each word to `sink`.
    pub fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// For those who do not listen.
    #[must_use]
    pub fn unheard() -> Self {
        Self::to(|_| {})
    }

    /// Says `word`.
    pub fn say(&self, word: &str) {
        (self.0)(word);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
