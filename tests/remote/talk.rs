//! A guard that runs here, and what it says.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use shipit::transport::Script;

use super::rig::{Rig, which};

/// A guard that hears from the test.
pub struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    words: Receiver<String>,
    shell: &'static str,
}

impl Talk {
    pub fn start(rig: &Rig, script: &Script) -> Self {
        let file = tempfile::NamedTempFile::new_in(rig.dir.path()).unwrap().into_temp_path().keep().unwrap();
        let text = format!("progress() {{ printf '%s\\n' \"$*\"; }}\n( :\n{}\n)\nprogress over\n", script.lean());
        fs::write(&file, text).unwrap();
        let command = rig.shell.command;
        let mut child = Command::new(which(command[0]).unwrap())
            .args(&command[1..])
            .arg(&file)
            .env("PATH", &rig.shell.path)
            .env("HOME", rig.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Of a guard that is killed, bash prints the whole text.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, words) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { input: child.stdin.take(), child, words, shell: rig.shell.name }
    }

    #[track_caller]
    pub fn hears(&self, word: &str) {
        let mut heard = Vec::new();
        loop {
            match self.words.recv_timeout(Duration::from_secs(30)) {
                Ok(line) if line == word => return,
                Ok(line) => heard.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{}: no `{word}` after {heard:?}", self.shell)
                }
            }
        }
    }

    pub fn says(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// What the guard hears when shipit is gone.
    pub fn is_cut_off(&mut self) {
        self.input = None;
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
