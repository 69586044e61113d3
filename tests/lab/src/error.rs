//! What can go wrong in the lab, in words for the person who typed `cargo lab …`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The lab's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Anything that stops the lab.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("cannot {verb} `{}`: {source}", path.display())]
    File {
        /// What was tried: `read`, `write`, `create`.
        verb: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program could not be run at all.
    #[error("cannot run `{program}`: {source}")]
    Program {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("`{command}` failed ({status})\n{output}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines of what it printed.
        output: String,
    },
    /// Something was awaited and did not come.
    #[error("{what}: not within {within:?}{log}")]
    Deadline {
        /// What was awaited.
        what: String,
        /// For how long.
        within: Duration,
        /// The last lines of the log that knows more.
        log: String,
    },
    /// A file of the lab's has wrong content.
    #[error("`{}`: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The request makes no sense, or the machine is not fit for it: exit code 2.
    #[error("{0}")]
    Refused(String),
    /// The lab did its work and the outcome is bad.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// The exit code of the process: 2 for what the user has to change, 1 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 2,
            _ => 1,
        }
    }

    /// Wraps a file system error: `.map_err(Error::file("read", &path))`.
    pub fn file(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { verb, path, source }
    }

    /// Wraps the failure to start a program.
    pub fn program(program: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let program = program.into();
        move |source| Self::Program { program, source }
    }

    /// Says that a file's content is wrong.
    pub fn content(path: &Path, reason: &dyn ToString) -> Self {
        Self::Content { path: path.to_owned(), reason: reason.to_string() }
    }
}
