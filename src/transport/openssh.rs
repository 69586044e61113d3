//! The transport over OpenSSH's own client, so that the user's ssh configuration, keys, agent and jump hosts just work.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::site::Site;
use super::ssh_session::SshSession;
use super::{ConnectError, Limits, Transport};
use crate::model::{Host, SshSpec};

/// Opens sessions by OpenSSH.
///
/// End it with [`OpenSsh::close`], after its sessions. If that never comes, what it started on this machine ends within
/// a second or two all the same.
#[derive(Debug)]
pub struct OpenSsh(Arc<Site>);

/// Why no connection can be made at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No place for ssh's sockets.
    #[error("there is no place for ssh's control sockets")]
    Directory(#[source] io::Error),
    /// A part of ssh's configuration can't be read, or ours not written.
    #[error("ssh's configuration can't be put together")]
    Config(#[source] io::Error),
    /// The shell that ends our ssh processes is not there.
    #[error("`sh` can't be started on this machine")]
    Shell(#[source] io::Error),
}

impl OpenSsh {
    /// Prepares connections as `spec` says. It needs a tokio runtime, and connects to nothing yet.
    pub fn start(spec: &SshSpec) -> Result<Self, StartError> {
        Self::start_within(spec, Limits::default())
    }

    /// As [`Self::start`], with other limits.
    pub fn start_within(spec: &SshSpec, limits: Limits) -> Result<Self, StartError> {
        Site::prepare(spec, limits).map(|site| Self(Arc::new(site)))
    }

    /// Ends all that is left on this machine: processes, sockets, the control directory. Takes [`Limits::close`] at most.
    pub async fn close(self) {
        self.0.close().await;
    }
}

impl Transport for OpenSsh {
    type Session = SshSession;

    async fn connect(&self, host: &Host) -> Result<SshSession, ConnectError> {
        let link = self.0.open(host).await?;
        Ok(SshSession::new(Arc::clone(&self.0), host.clone(), link))
    }

    fn scratch(&self) -> &Path {
        self.0.scratch()
    }
}
