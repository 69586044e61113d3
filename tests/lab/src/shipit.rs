//! Running the real shipit on a fleet.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::process::Process;
use crate::wait::last_lines;
use crate::workspace::{self, Profile};

/// Several times what the slowest run here takes: every wait of shipit's has a deadline, and none of them is this long.
const DEADLINE: Duration = Duration::from_mins(3);

/// The time that shipit has, once told to stop, to put everything back.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// What shipit prints of a step that begins, and of one that ends.
const EVENTS: [&str; 2] = [r#""command":"perform""#, r#""fact":"step-finished""#];

/// The run that is under way, for the signal handler: the fleet must not vanish under a shipit that is putting things back.
static RUNNING: Mutex<Option<Process>> = Mutex::new(None);

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

/// What befalls a run of shipit that says what it does as JSON: signals, the first one after so many of its events.
#[derive(Debug, Clone)]
pub struct Strike {
    /// A step that is begun is one event, and its end another.
    pub after: usize,
    /// Each so long after the one before.
    pub signals: Vec<(Duration, Signal)>,
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
    /// How long it took from the first signal on, if something befell it.
    pub after_strike: Option<Duration>,
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
        self.run_struck(fleet, arguments, output, None)
    }

    /// The same; meanwhile something befalls it.
    pub fn run_struck(
        &self,
        fleet: &Fleet,
        arguments: &[&str],
        output: Output,
        strike: Option<&Strike>,
    ) -> Result<Outcome> {
        let mut command = Command::new(&self.binary);
        command.arg("-C").arg(fleet.layout.project()).args(arguments).stdin(Stdio::null());
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
        // What shipit remembers of its runs goes with the fleet.
        command.env("XDG_STATE_HOME", fleet.layout.root.join("state"));
        let mut kept = [scratch()?, scratch()?];
        if output == Output::Kept {
            let [stdout, stderr] = &kept;
            command.stdout(stdout.try_clone().map_err(scratch_error)?);
            command.stderr(stderr.try_clone().map_err(scratch_error)?);
        }
        let mut fate = strike.map(|strike| Fate {
            events: kept[0].try_clone(),
            read: 0,
            seen: 0,
            strike,
            struck: None,
            began: None,
        });
        let (status, lasted) = watch(command, &self.binary, || fate.as_mut().map_or(Ok(()), Fate::come))?;
        let after_strike = fate.and_then(|fate| Some(fate.began?.elapsed()));
        let [stdout, stderr] = &mut kept;
        let command = format!("shipit {}", arguments.join(" "));
        Ok(Outcome {
            command,
            code: status.code().unwrap_or_else(|| -status.signal().unwrap_or_default()),
            lasted,
            after_strike,
            left: names(temporary.path()),
            stdout: content(stdout)?,
            stderr: content(stderr)?,
        })
    }
}

impl Outcome {
    /// The outcome, if it is exit code 0; else an error with the end of what shipit said.
    pub fn success(self) -> Result<Self> {
        if self.code == 0 {
            return Ok(self);
        }
        let status = format!("exit code {}", self.code);
        Err(Error::Command { command: self.command, status, output: last_lines(&(self.stdout + &self.stderr)) })
    }
}

/// The run that is under way, for who measures it.
#[must_use]
pub fn running() -> Option<Process> {
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a run that is under way to stop, and waits until it has put everything back.
pub fn stop_running() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(process) = running {
        process.signal(Signal::TERM);
        let _ = process.await_end(STOP_WITHIN);
    }
}

/// Kills a run that is under way, as a machine that loses its power does; whether there was one.
pub fn kill_running() -> bool {
    let running = *RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.inspect(|process| process.signal(Signal::KILL)).is_some()
}

/// Sends SIGTERM to a run that is under way; whether there was one.
pub fn terminate_running() -> bool {
    let running = *RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.inspect(|process| process.signal(Signal::TERM)).is_some()
}

/// What befalls the run that is under way.
struct Fate<'a> {
    /// What it prints.
    events: io::Result<File>,
    /// So many bytes of that were read.
    read: u64,
    /// So many events were in them.
    seen: usize,
    strike: &'a Strike,
    /// How many signals were sent, and when the last one was.
    struck: Option<(usize, Instant)>,
    /// When the first of them was.
    began: Option<Instant>,
}

impl Fate<'_> {
    fn come(&mut self) -> Result<()> {
        let Some((sent, at)) = self.struck else {
            if self.count()? >= self.strike.after {
                self.struck = Some((0, Instant::now()));
                self.began = Some(Instant::now());
            }
            return Ok(());
        };
        if let Some((pause, signal)) = self.strike.signals.get(sent)
            && at.elapsed() >= *pause
        {
            let running = *RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            running.inspect(|process| process.signal(*signal));
            self.struck = Some((sent + 1, Instant::now()));
        }
        Ok(())
    }

    /// The events so far. One that is not whole yet counts when it is.
    fn count(&mut self) -> Result<usize> {
        let file = self.events.as_ref().map_err(|error| Error::Failed(error.to_string()))?;
        let length = file.metadata().map_err(scratch_error)?.len();
        let mut bytes = vec![0; usize::try_from(length - self.read).unwrap_or_default()];
        file.read_exact_at(&mut bytes, self.read).map_err(scratch_error)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.read += whole as u64;
        let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
        let is_event = |line: &&str| EVENTS.iter().any(|event| line.contains(event));
        self.seen += text.lines().filter(is_event).count();
        Ok(self.seen)
    }
}

/// How many events `stdout` tells of.
#[must_use]
pub fn events(stdout: &str) -> usize {
    stdout.lines().filter(|line| EVENTS.iter().any(|event| line.contains(event))).count()
}

fn watch(
    mut command: Command,
    binary: &Path,
    mut meanwhile: impl FnMut() -> Result<()>,
) -> Result<(ExitStatus, Duration)> {
    let began = Instant::now();
    let mut child = command.spawn().map_err(Error::program(binary.display().to_string()))?;
    let process = i32::try_from(child.id()).ok().and_then(Process::with_pid);
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = process;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::program("shipit"))? {
            break status;
        }
        meanwhile()?;
        if began.elapsed() > DEADLINE {
            stop_running();
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::Failed(format!("shipit did not end within {DEADLINE:?}")));
        }
        thread::sleep(Duration::from_millis(5));
    };
    let lasted = began.elapsed();
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
