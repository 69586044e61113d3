//! Where lines for people go. Never fails: a reader that went away must not end a deploy.

use std::io::Write;

/// Writes whole lines.
pub struct Console {
    out: Box<dyn Write + Send>,
    log: Log,
}

/// Who reads the lines besides people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Nobody.
    Unread,
    /// A CI system that takes some lines as commands.
    Parsed,
}

impl Console {
    /// A console on `out`.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, log: Log) -> Self {
        Self { out, log }
    }

    /// Writes `text`, which may be several lines, and a line's end.
    ///
    /// It goes out in one piece, so that lines of two writers do not mix.
    pub fn say(&mut self, text: &str) {
        let mut bytes = match self.log {
            Log::Unread => text.to_owned(),
            Log::Parsed => text.lines().map(defuse).collect::<Vec<_>>().join("\n"),
        };
        bytes.push('\n');
        self.raw(&bytes);
    }

    /// Writes `text` as it is: for the commands that are meant as such.
    pub fn raw(&mut self, text: &str) {
        // Nobody is left to be told about an error here.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// `line` such that no CI system takes it for a command.
///
/// GitHub's runner obeys `::command::` at the start of a line, but the older `##[command]` wherever it stands; Azure's
/// `##vso[` and `##teamcity[` are of the same kind.
#[must_use]
pub fn defuse(line: &str) -> String {
    let mut safe = String::from(if line.trim_start().starts_with("::") { ". " } else { "" });
    for c in line.chars() {
        if c == '#' && safe.ends_with('#') {
            safe.push(' ');
        }
        safe.push(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command() {
        for line in ["::error::x", "  ::stop-commands::x", "a ##[add-mask]x", "###[group]x", "##vso[x]"] {
            let line = defuse(line);
            assert!(!line.trim_start().starts_with("::") && !line.contains("##"), "{line}");
        }
    }
}
