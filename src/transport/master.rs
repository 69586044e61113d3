//! One ssh process that holds the connection to one host, and through which all executions on that host go.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::leash::Leash;

/// How often to look whether the connection is there: at first after so long …
const FIRST_LOOK: Duration = Duration::from_millis(5);
/// … and then ever less often, up to this. A handshake takes 10 to 100 ms of CPU, so that the wait costs little of it.
const SLOWEST_LOOK: Duration = Duration::from_millis(50);

/// The process, which is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Master {
    process: Mutex<Option<Child>>,
    socket: PathBuf,
    log: PathBuf,
}

/// How to start one.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    pub(super) leash: &'a Leash,
    pub(super) config: &'a Path,
    pub(super) user: Option<&'a str>,
    pub(super) address: &'a str,
    /// Where its socket will be; the log goes beside it.
    pub(super) socket: PathBuf,
}

impl Master {
    /// Starts ssh. Returns at once; see [`Self::opened`].
    pub(super) fn start(launch: Launch<'_>) -> io::Result<Self> {
        let log = log_of(&launch.socket);
        let mut command = Command::new("ssh");
        command.args(["-M", "-N", "-o", "ControlPersist=no", "-S"]).arg(&launch.socket).arg("-F").arg(launch.config);
        // Not in the file: there it would be the user on jump hosts too.
        if let Some(user) = launch.user {
            command.args(["-l", user]);
        }
        let process = command
            .args(["--", launch.address])
            .process_group(launch.leash.group())
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // The ssh of a jump host writes there too.
            .stderr(File::options().create(true).append(true).open(&log)?)
            .spawn()?;
        Ok(Self { process: Mutex::new(Some(process)), socket: launch.socket, log })
    }

    /// Waits until the connection is there, or the process has ended. The caller sets the deadline, and drops the master if
    /// it passes.
    pub(super) async fn opened(&self) -> Option<openssh::Session> {
        let session = openssh::Session::resume_mux(self.socket.clone().into_boxed_path(), None);
        let mut pause = FIRST_LOOK;
        while self.is_running() {
            sleep(pause).await;
            pause = pause.mul_f32(1.25).min(SLOWEST_LOOK);
            // ssh makes the socket once it is logged in.
            if self.socket.exists() && session.check().await.is_ok() {
                return Some(session);
            }
        }
        None
    }

    /// Whether the process is there. It may be, and the connection dead: see `ServerAliveCountMax`.
    pub(super) fn is_running(&self) -> bool {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// What ssh writes its complaints to.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Ends the process and waits for that, `deadline` at most; then it is killed.
    pub(super) async fn close(&self, leash: &Leash, deadline: Duration) {
        let taken = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut process) = taken else { return };
        let asked = match process.id() {
            Some(pid) => leash.end_process(pid).await,
            None => true,
        };
        if !asked || timeout(deadline, process.wait()).await.is_err() {
            _ = process.start_kill();
            // A process that hangs in the kernel must not hold the run.
            _ = timeout(deadline, process.wait()).await;
        }
        _ = std::fs::remove_file(&self.socket);
    }
}

/// The log of the master whose socket is `socket`.
pub(super) fn log_of(socket: &Path) -> PathBuf {
    socket.with_extension("log")
}
