//! What was run and what it said, in a file, for whoever wants to know what a person on call would read.

use std::fs::{self, File};
use std::io::Write as _;

use super::{Error, Result};
use crate::shipit::Outcome;
use crate::workspace;

/// One campaign's file.
#[derive(Debug)]
pub(super) struct Diary(File);

impl Diary {
    pub(super) fn open(name: &str) -> Result<Self> {
        let directory = workspace::target().join("lab-crash");
        fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
        let path = directory.join(format!("{name}.log"));
        File::create(&path).map(Self).map_err(Error::file("write", &path))
    }

    pub(super) fn point(&mut self, name: &str) {
        self.write(&format!("\n===== {name}\n"));
    }

    /// What shipit said to people, and how it ended.
    pub(super) fn ran(&mut self, outcome: &Outcome) {
        let Outcome { command, code, lasted, stdout, stderr, .. } = outcome;
        let events = stdout.starts_with('{');
        let shown = if events { "" } else { stdout };
        self.write(&format!("$ {command}\n{shown}{stderr}-- {code} after {:.1} s\n", lasted.as_secs_f64()));
    }

    pub(super) fn note(&mut self, text: &str) {
        self.write(&format!("-- {text}\n"));
    }

    fn write(&mut self, text: &str) {
        // Nothing depends on it.
        let _ = self.0.write_all(text.as_bytes());
    }
}
