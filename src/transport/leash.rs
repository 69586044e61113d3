//! What ends every ssh process of a run when the run ends, even by `kill -9`.
//!
//! One `sh` waits for the end of a pipe whose other end only shipit holds. It leads a process group in which all ssh
//! masters are started: so a Ctrl-C at the terminal does not reach them (the hosts are still to be put in order then),
//! and one signal to the group reaches them all.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// The leash of one run. When it is dropped, the pipe ends and the shell does its work without us.
#[derive(Debug)]
pub(super) struct Leash {
    group: i32,
    shell: Mutex<Option<(Child, ChildStdin)>>,
}

impl Leash {
    /// Starts the shell that is to remove `dirs`.
    pub(super) fn start(dirs: [&Path; 2]) -> io::Result<Self> {
        // The write end is closed on exec in every other child, as std makes all its pipes.
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("leash.sh"), "shipit-leash"])
            .args(dirs)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pid = shell.id().and_then(|pid| i32::try_from(pid).ok());
        let (Some(group), Some(pipe)) = (pid, shell.stdin.take()) else {
            return Err(io::Error::other("`sh` ended at once"));
        };
        Ok(Self { group, shell: Mutex::new(Some((shell, pipe))) })
    }

    /// The process group for whatever must not outlive the run.
    pub(super) fn group(&self) -> i32 {
        self.group
    }

    /// Asks the process `pid` to end, one that the caller started and has not waited for. Says whether it could.
    pub(super) async fn end_process(&self, pid: u32) -> bool {
        match self.shell.lock().await.as_mut() {
            Some((_, pipe)) => pipe.write_all(format!("{pid}\n").as_bytes()).await.is_ok(),
            None => false,
        }
    }

    /// Ends all that is left and removes `dirs`, in at most `deadline`. A second call does nothing.
    pub(super) async fn close(&self, dirs: [&Path; 2], deadline: Duration) {
        let Some((mut shell, mut pipe)) = self.shell.lock().await.take() else { return };
        _ = pipe.write_all(b"end\n").await;
        drop(pipe);
        if !matches!(timeout(deadline, shell.wait()).await, Ok(Ok(status)) if status.success()) {
            _ = shell.start_kill();
            // Only then: once the shell has removed one, its name is free for another.
            for dir in dirs {
                _ = std::fs::remove_dir_all(dir);
            }
        }
    }
}
