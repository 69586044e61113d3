//! Running the real shipit on a fleet.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::process::Process;
use crate::wait::last_lines;
use crate::workspace::{self, Profile};

/// Several times what the slowest run here takes: every wait of shipit's has a deadline, and none of them is this long.
const DEADLINE: Duration = Duration::from_mins(4);

/// The time that shipit has, once told to stop, to put everything back.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// The runs that are under way, for the signal handler: the fleet must not vanish under a shipit that is putting things back.
static RUNNING: Mutex<Vec<Process>> = Mutex::new(Vec::new());

/// Where shipit's own output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Into the outcome.
    Kept,
    /// To the terminal, as it comes.
    Shown,
}

/// A built shipit.
#[derive(Debug, Clone)]
pub struct Shipit {
    binary: PathBuf,
}

/// Where shipit is run: the directory with inventories and recipes, and the one where it remembers its runs.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Inventories and recipes.
    pub project: PathBuf,
    /// What it remembers, besides what the hosts do.
    pub state: PathBuf,
}

/// A run that is under way, as it is looked at every few milliseconds.
#[derive(Debug)]
pub struct Glimpse<'a> {
    /// The process.
    pub process: Process,
    /// How long it runs.
    pub lasts: Duration,
    /// The whole lines that it has printed on standard output since the last look.
    pub news: &'a str,
}

/// How a run of shipit ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; if a signal ended it, minus that signal's number.
    pub code: i32,
    /// How long it took.
    pub lasted: Duration,
    /// The temporary files and sockets that it left behind.
    pub left: Vec<String>,
    /// What it printed on standard output.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
}

impl Shipit {
    /// Builds shipit.
    pub fn build(profile: Profile) -> Result<Self> {
        workspace::build_shipit(profile).map(|binary| Self { binary })
    }

    /// The binary.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Deploys the first release to a fleet that has none: nothing serves yet, so all hosts go at once.
    pub fn deploy_first(&self, fleet: &Fleet, output: Output) -> Result<Outcome> {
        let arguments =
            ["deploy", "lab", "--strategy", "rolling", "--max-in-flight", "100%", "--min-serving", "0", "--yes"];
        self.run(fleet, &arguments, output)?.success()
    }

    /// Runs it in the fleet's project directory to its end.
    pub fn run(&self, fleet: &Fleet, arguments: &[&str], output: Output) -> Result<Outcome> {
        self.run_watched(&Origin::of(fleet), arguments, output, |_| Ok(()))
    }

    /// Runs it elsewhere. What it prints is kept, and `meanwhile` looks at it again and again.
    pub fn run_watched(
        &self,
        origin: &Origin,
        arguments: &[&str],
        output: Output,
        mut meanwhile: impl FnMut(&Glimpse<'_>) -> Result<()>,
    ) -> Result<Outcome> {
        let mut command = Command::new(&self.binary);
        command.arg("-C").arg(&origin.project).args(arguments).stdin(Stdio::null());
        // The lab's caller may run in CI or have shipit's variables set; a run here must not depend on it.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("SHIPIT_") || name.starts_with("GITHUB_") || name.starts_with("GITLAB_") || name == "CI"
            {
                command.env_remove(&*name);
            }
        }
        // Short, because sockets go there; its own, because nothing may be left in it.
        let temporary = tempfile::Builder::new().prefix("lab").tempdir_in("/tmp").map_err(scratch_error)?;
        command.env("TMPDIR", temporary.path()).env("XDG_RUNTIME_DIR", temporary.path());
        command.env("XDG_STATE_HOME", &origin.state);
        let mut kept = [scratch()?, scratch()?];
        if output == Output::Kept {
            let [stdout, stderr] = &kept;
            command.stdout(stdout.try_clone().map_err(scratch_error)?);
            command.stderr(stderr.try_clone().map_err(scratch_error)?);
        }
        let mut printed = Printed { file: kept[0].try_clone().map_err(scratch_error)?, read: 0 };
        let (status, lasted) = watch(command, &self.binary, |process, lasts| {
            meanwhile(&Glimpse { process, lasts, news: &printed.news()? })
        })?;
        let [stdout, stderr] = &mut kept;
        let command = format!("shipit {}", arguments.join(" "));
        Ok(Outcome {
            command,
            code: status.code().unwrap_or_else(|| -status.signal().unwrap_or_default()),
            lasted,
            left: names(temporary.path()),
            stdout: content(stdout)?,
            stderr: content(stderr)?,
        })
    }
}

impl Origin {
    /// The fleet's own project. What shipit remembers of its runs goes with the fleet.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Self {
        Self { project: fleet.layout.project(), state: fleet.layout.root.join("state") }
    }
}

impl Outcome {
    /// The outcome, if it is exit code 0; else an error with the end of what shipit said.
    pub fn success(self) -> Result<Self> {
        if self.code == 0 {
            return Ok(self);
        }
        let (status, output) = (format!("exit code {}", self.code), self.tail());
        Err(Error::Command { command: self.command, status, output })
    }

    /// The end of what it said to people; of what it said to programs, if it said nothing else.
    #[must_use]
    pub fn tail(&self) -> String {
        let said = last_lines(&self.stderr);
        if said.is_empty() { last_lines(&self.stdout) } else { said }
    }
}

/// The run that is under way, for who measures it.
#[must_use]
pub fn running() -> Option<Process> {
    all_running().last().copied()
}

/// Tells all runs that are under way to stop, and waits until they have put everything back.
pub fn stop_running() {
    let running = std::mem::take(&mut *all_running());
    for process in &running {
        process.signal(Signal::TERM);
    }
    for process in &running {
        let _ = process.await_end(STOP_WITHIN);
    }
}

/// Kills a run that is under way, as a machine that loses its power does.
pub fn kill_running() {
    running().inspect(|process| process.signal(Signal::KILL));
}

/// Sends SIGTERM to a run that is under way.
pub fn terminate_running() {
    running().inspect(|process| process.signal(Signal::TERM));
}

fn all_running() -> MutexGuard<'static, Vec<Process>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a run prints, as far as it was read.
struct Printed {
    file: File,
    read: u64,
}

impl Printed {
    /// The lines that have come; one that is not whole yet comes when it is.
    fn news(&mut self) -> Result<String> {
        let length = self.file.metadata().map_err(scratch_error)?.len();
        let mut bytes = vec![0; usize::try_from(length - self.read).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, self.read).map_err(scratch_error)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.read += whole as u64;
        Ok(String::from_utf8_lossy(&bytes[..whole]).into_owned())
    }
}

fn watch(
    mut command: Command,
    binary: &Path,
    mut meanwhile: impl FnMut(Process, Duration) -> Result<()>,
) -> Result<(ExitStatus, Duration)> {
    let began = Instant::now();
    let mut child = command.spawn().map_err(Error::program(binary.display().to_string()))?;
    let process = i32::try_from(child.id()).ok().and_then(Process::with_pid);
    all_running().extend(process);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::program("shipit"))? {
            break status;
        }
        if let Some(process) = process {
            meanwhile(process, began.elapsed())?;
        }
        if began.elapsed() > DEADLINE {
            process.inspect(|process| process.signal(Signal::TERM));
            let _ = process.map(|process| process.await_end(STOP_WITHIN));
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::Failed(format!("shipit did not end within {DEADLINE:?}")));
        }
        thread::sleep(Duration::from_millis(5));
    };
    let lasted = began.elapsed();
    all_running().retain(|other| Some(*other) != process);
    Ok((status, lasted))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A file, and not a pipe: a child that shipit left behind would hold the pipe open, and the lab would wait for it.
fn scratch() -> Result<File> {
    tempfile::tempfile().map_err(scratch_error)
}

fn scratch_error(source: io::Error) -> Error {
    Error::file("use", &std::env::temp_dir())(source)
}

fn content(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(scratch_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
