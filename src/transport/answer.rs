//! Reads what a host sends back: the script's output between the lines of [`super::frame`].

use super::Progress;
use super::frame::Nonce;
use crate::model::clean;

/// The longest line that may be one of ours, in bytes; a longer one is output.
const LONGEST_WORD: usize = 4096;

/// The longest word of progress that is passed on, in characters: a line of a terminal, roughly.
const LONGEST_PROGRESS: usize = 200;

/// Which part of an output is kept, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    /// The first so many: answers to be read by us.
    First(usize),
    /// The last so many: complaints, of which the last are the ones that matter.
    Last(usize),
}

/// One stream of an execution's output, read piece by piece in bounded memory.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    marker: Vec<u8>,
    progress: &'a Progress,
    keep: Keep,
    kept: Vec<u8>,
    /// The line so far, while it may still turn out to be one of ours.
    line: Vec<u8>,
    inside_line: bool,
    /// A line break that belongs to the output unless a line of ours follows, whose own it is then.
    held_break: bool,
    begun: bool,
    code: Option<i32>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(nonce: &Nonce, keep: Keep, progress: &'a Progress) -> Self {
        Self {
            marker: nonce.marker().into_bytes(),
            progress,
            keep,
            kept: Vec::new(),
            line: Vec::new(),
            inside_line: false,
            held_break: false,
            begun: false,
            code: None,
        }
    }

    /// Whether the script has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The script's exit code, once it has ended.
    pub(super) fn code(&self) -> Option<i32> {
        self.code
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.code.is_none() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            self.feed_line(&bytes[..end.unwrap_or(bytes.len())]);
            let Some(end) = end else { return };
            self.end_line();
            bytes = &bytes[end + 1..];
        }
    }

    /// What was kept. Before the script began, that is what the login shell had to say.
    pub(super) fn finish(mut self) -> String {
        if self.code.is_none() && !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.put(&line);
        }
        if let Keep::Last(limit) = self.keep {
            self.kept.drain(..self.kept.len().saturating_sub(limit));
        }
        String::from_utf8_lossy(&self.kept).into_owned()
    }

    fn feed_line(&mut self, piece: &[u8]) {
        if self.inside_line {
            return self.put(piece);
        }
        self.line.extend_from_slice(&piece[..piece.len().min(LONGEST_WORD)]);
        let compared = self.line.len().min(self.marker.len());
        if self.line[..compared] != self.marker[..compared] || self.line.len() >= LONGEST_WORD {
            self.inside_line = true;
            let line = std::mem::take(&mut self.line);
            // What an earlier piece began, and this piece whole.
            self.put(&line[..line.len() - piece.len().min(LONGEST_WORD)]);
            self.put(piece);
            self.line = line;
            self.line.clear();
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if let Some(word) = line.strip_prefix(&self.marker[..]).filter(|_| !self.inside_line) {
            self.held_break = false;
            self.word(&String::from_utf8_lossy(word));
        } else {
            if !self.inside_line {
                self.put(&line);
            }
            self.held_break = true;
        }
        self.inside_line = false;
        self.line = line;
        self.line.clear();
    }

    fn word(&mut self, word: &str) {
        if word == "begin" {
            self.begun = true;
            self.kept.clear();
        } else if let Some(text) = word.strip_prefix("progress ") {
            let text: String = text.chars().take(LONGEST_PROGRESS).collect();
            self.progress.say(&clean(&text));
        } else if let Some(code) = word.strip_prefix("rc=") {
            self.code = code.parse().ok();
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if std::mem::take(&mut self.held_break) {
            self.put(b"\n");
        }
        match self.keep {
            Keep::First(limit) => {
                let room = limit.saturating_sub(self.kept.len());
                self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Keep::Last(limit) => {
                self.kept.extend_from_slice(bytes);
                // Not at every piece: moving the rest to the front costs as much as the limit is long.
                if self.kept.len() > 2 * limit {
                    self.kept.drain(..self.kept.len() - limit);
                }
            }
        }
    }
}
