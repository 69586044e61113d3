//! Scripts for the hosts: POSIX `sh` that we wrote, and data that we did not.
//!
//! This is the only place that quotes. A script is the text of a file below `src/remote/scripts`, and its data are
//! shell variables, set by quoted assignments in front of it. All of it goes to standard input of a constant command,
//! so nothing of it shows in the host's process list.

use std::fmt::Write as _;

/// A script and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    variables: Vec<(String, String)>,
    body: String,
}

impl Script {
    /// A script of our own text.
    #[must_use]
    pub fn new(body: &'static str) -> Self {
        Self { variables: Vec::new(), body: body.to_owned() }
    }

    /// Puts `part`, functions that the script uses, in front of it.
    #[must_use]
    pub fn using(mut self, part: &'static str) -> Self {
        self.body.insert_str(0, part);
        self
    }

    /// Sets the variable `name` to `value`, whatever is in it.
    ///
    /// A zero byte can't be in a shell variable and is left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.variables.push((name.to_owned(), value.as_ref().replace('\0', "")));
        self
    }

    /// Sets the variable `name` to the `lines`, one a line.
    #[must_use]
    pub fn with_lines<S: AsRef<str>>(self, name: &str, lines: impl IntoIterator<Item = S>) -> Self {
        let lines: Vec<String> = lines.into_iter().map(|line| line.as_ref().replace('\n', " ")).collect();
        self.with(name, lines.join("\n"))
    }

    /// The script as the host's shell gets it, without the frame of the transport; this is what `plan --commands` shows.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.variables {
            let _ = writeln!(text, "{name}={}", quote(value));
        }
        text.push_str(&self.body);
        text
    }
}

/// `value` as one word of a shell.
#[must_use]
pub fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_value_holds_it_stays_one_word() {
        let nasty = "a'b\"c$(touch /nowhere)`x`\\\n*";
        let script = Script::new("printf %s \"$VALUE\"\n").with("VALUE", nasty);
        let out = std::process::Command::new("sh").arg("-c").arg(script.text()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), nasty);
    }
}
