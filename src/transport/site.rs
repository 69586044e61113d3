//! What all sessions of a run share: the control directory, ssh's configuration, the leash, and the limits on connecting.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::bastions::Bastions;
use super::connect_error::{Target, explain, is_worth_another_try, read_log};
use super::control_dir::ControlDir;
use super::leash::Leash;
use super::master::{Launch, Master, log_of};
use super::ssh_config::SshConfig;
use super::{ConnectError, Limits, StartError};
use crate::model::{Host, SshSpec, friendly};

/// Tries of a connect that sshd dropped at random; it drops three of ten at first, so that three tries fail one time in 37.
const TRIES: u32 = 3;

#[derive(Debug)]
pub(super) struct Site {
    // The leash goes first: it is what removes the directory.
    leash: Leash,
    dir: ControlDir,
    scratch: PathBuf,
    config: SshConfig,
    spec: SshSpec,
    limits: Limits,
    connects: Semaphore,
    bastions: Bastions,
    numbers: AtomicU32,
}

/// A connection that is, or was, there.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) session: openssh::Session,
    pub(super) master: Master,
    given_up: AtomicBool,
}

impl Link {
    /// Whether there is hope in using it.
    pub(super) fn is_up(&self) -> bool {
        !self.given_up.load(Ordering::Relaxed) && self.master.is_running()
    }

    /// Asks the master whether it is there, and gives the link up if it does not say so within `deadline`.
    pub(super) async fn judge(&self, deadline: Duration) {
        if !matches!(timeout(deadline, self.session.check()).await, Ok(Ok(()))) {
            self.given_up.store(true, Ordering::Relaxed);
        }
    }
}

impl Site {
    pub(super) fn prepare(spec: &SshSpec, limits: Limits) -> Result<Self, StartError> {
        let dir = ControlDir::create().map_err(StartError::Directory)?;
        let scratch = TempDir::with_prefix("shipit-").map_err(|error| {
            _ = std::fs::remove_dir_all(dir.path());
            StartError::Directory(error)
        })?;
        // As soon as they are there: what removes both if anything below fails.
        let leash = Leash::start([dir.path(), scratch.path()]).map_err(|error| {
            _ = std::fs::remove_dir_all(dir.path());
            StartError::Shell(error)
        })?;
        let scratch = scratch.keep();
        let config = SshConfig::write(dir.path(), spec, &limits).map_err(StartError::Config)?;
        Ok(Self {
            leash,
            dir,
            scratch,
            config,
            spec: spec.clone(),
            limits,
            connects: Semaphore::new(limits.connects),
            bastions: Bastions::default(),
            numbers: AtomicU32::new(0),
        })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn leash(&self) -> &Leash {
        &self.leash
    }

    /// A name for a socket that was not given before.
    pub(super) fn socket(&self) -> PathBuf {
        self.dir.path().join(self.numbers.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Connects to `host`, within [`Limits::connect`] of its turn.
    pub(super) async fn open(&self, host: &Host) -> Result<Link, ConnectError> {
        let bastion = {
            // It may take a process to find out.
            let _turn = self.connects.acquire().await.ok();
            self.bastions.before(host.address.as_str(), &self.config, &self.leash, &self.limits).await
        };
        // The jump host's turn first: those who wait for it are not to keep others from connecting.
        let _through = match &bastion {
            Some(bastion) => bastion.acquire().await.ok(),
            None => None,
        };
        let _turn = self.connects.acquire().await.ok();
        let socket = self.socket();
        if let Ok(done) = timeout(self.limits.connect, Box::pin(self.tries(host, socket.clone()))).await {
            return done;
        }
        let target = Target { host: host.clone(), spec: self.spec.clone() };
        let log = self.config.in_users_terms(&read_log(&log_of(&socket)));
        let log = format!("{log}\ntimed out: no session within {}", friendly(self.limits.connect));
        Err(explain(&log, &target))
    }

    async fn tries(&self, host: &Host, socket: PathBuf) -> Result<Link, ConnectError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            let (config, user) = (self.config.path(), self.spec.user.as_deref());
            let launch =
                Launch { leash: &self.leash, config, user, address: host.address.as_str(), socket: socket.clone() };
            let master = Master::start(launch).map_err(|error| cannot_start(&error))?;
            if let Some(session) = master.opened().await {
                return Ok(Link { session, master, given_up: AtomicBool::new(false) });
            }
            let log = self.config.in_users_terms(&read_log(master.log()));
            if left == 0 || !is_worth_another_try(&log) {
                return Err(explain(&log, &Target { host: host.clone(), spec: self.spec.clone() }));
            }
            // The next try's log is its own.
            _ = std::fs::remove_file(master.log());
            sleep(jitter()).await;
        }
    }

    /// A directory for what is sent to hosts.
    pub(super) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Ends what the sessions left, and removes both directories.
    pub(super) async fn close(&self) {
        self.leash.close([self.dir.path(), &self.scratch], self.limits.close).await;
    }
}

fn cannot_start(error: &io::Error) -> ConnectError {
    let help = (error.kind() == io::ErrorKind::NotFound).then(|| "install the OpenSSH client".to_owned());
    ConnectError { what: format!("`ssh` can't be started: {error}"), help }
}

/// Half a second to two, so that those who were dropped together do not come back together.
fn jitter() -> Duration {
    Duration::from_millis(500 + RandomState::new().hash_one(0) % 1500)
}
