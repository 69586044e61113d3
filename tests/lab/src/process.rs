//! Processes that outlive the command that started them, and how they are found again and ended.
//!
//! A pid alone may by now belong to somebody else. So a process is its pid *and* the time at which the kernel started it;
//! no signal is ever sent to a pid whose start time differs. The same two numbers stand in every pid file of a fleet,
//! written by this module and by `appctl`.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::wait;

/// Every server here ends on SIGTERM within milliseconds, except an app that finishes a request of two seconds.
const END_WITHIN: Duration = Duration::from_secs(5);

/// One process, for ever: a pid and the start time that tells it from a later owner of that pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pid: i32,
    started: u64,
}

impl Process {
    /// The process that has this pid now.
    #[must_use]
    pub fn with_pid(pid: i32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        (!stat.zombie).then_some(Self { pid, started: stat.started })
    }

    /// This process.
    #[must_use]
    pub fn current() -> Option<Self> {
        i32::try_from(std::process::id()).ok().and_then(Self::with_pid)
    }

    /// The process that a pid file names, if it still runs.
    #[must_use]
    pub fn recorded(pid_file: &Path) -> Option<Self> {
        let text = fs::read_to_string(pid_file).ok()?;
        let mut words = text.split_whitespace();
        let process = Self { pid: words.next()?.parse().ok()?, started: words.next()?.parse().ok()? };
        process.is_alive().then_some(process)
    }

    /// Every process of this machine.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| Self::with_pid(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    /// Starts a program in a session of its own, so that neither Ctrl-C nor a closed terminal reaches it.
    pub fn start_detached(program: &str, arguments: &[&str], log: &Path, pid_file: &Path) -> Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log).map_err(Error::file("write", log))?;
        let errors = output.try_clone().map_err(Error::file("write", log))?;
        let child = Command::new("setsid")
            .arg(program)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(Error::program(program))?;
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        let Some(process) = Self::with_pid(pid) else {
            return Err(Error::Failed(format!("`{program}` ended at once, see {}", log.display())));
        };
        let record = format!("{} {}\n", process.pid, process.started);
        fs::write(pid_file, record).map_err(Error::file("write", pid_file))?;
        Ok(process)
    }

    /// The pid, for messages.
    #[must_use]
    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Whether it runs; a zombie does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.started == self.started && !stat.zombie)
    }

    /// Sends a signal; to nobody if the process is gone.
    ///
    /// The pid is pinned by a file descriptor before its start time is compared, so that it cannot change hands in between.
    pub fn signal(self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return;
        };
        let Ok(pinned) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
            return;
        };
        if self.is_alive() {
            // It may end at this very moment; then there is nobody left to tell.
            let _ = rustix::process::pidfd_send_signal(&pinned, signal);
        }
    }

    /// Ends it: SIGTERM, and SIGKILL for one that stays.
    pub fn end(self) {
        self.signal(Signal::TERM);
        if self.await_end(END_WITHIN).is_err() {
            self.signal(Signal::KILL);
            let _ = self.await_end(END_WITHIN);
        }
    }

    /// Waits until it is gone.
    pub fn await_end(self, within: Duration) -> Result<()> {
        wait::until(&format!("the end of process {}", self.pid), within, None, || {
            // If it is a child of ours it stays a zombie until somebody asks; if not, asking does no harm.
            let _ = rustix::process::waitpid(Pid::from_raw(self.pid), WaitOptions::NOHANG);
            (!self.is_alive()).then_some(())
        })
    }

    /// These processes, and all that they started, and so on.
    #[must_use]
    pub fn families(heads: Vec<Self>) -> Vec<Self> {
        let mut children: BTreeMap<i32, Vec<Self>> = BTreeMap::new();
        for process in Self::all() {
            if let Some(stat) = Stat::read(process.pid) {
                children.entry(stat.parent).or_default().push(process);
            }
        }
        let mut found = heads;
        let mut next = 0;
        while let Some(process) = found.get(next) {
            found.extend(children.remove(&process.pid).unwrap_or_default());
            next += 1;
        }
        found
    }

    /// Its command line, for messages and for recognising it.
    #[must_use]
    pub fn command_line(self) -> String {
        self.strings("cmdline").join(" ")
    }

    /// The value of a variable in the environment that it was started with; `None` also for other users' processes.
    #[must_use]
    pub fn variable(self, name: &str) -> Option<String> {
        let assignment = format!("{name}=");
        self.strings("environ").into_iter().find_map(|line| Some(line.strip_prefix(&assignment)?.to_owned()))
    }

    fn strings(self, file: &str) -> Vec<String> {
        let bytes = fs::read(format!("/proc/{}/{file}", self.pid)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.split('\0').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}

/// What the lab needs of `/proc/PID/stat`.
struct Stat {
    zombie: bool,
    parent: i32,
    started: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in brackets, and may hold blanks and brackets itself.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            zombie: matches!(*fields.first()?, "Z" | "X"),
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}
