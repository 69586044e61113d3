//! Scripts for the hosts: POSIX `sh` that we wrote, and data that we did not.
//!
//! This is the only place that quotes. A script is the text of a file below `src/remote/scripts`, and its data are
//! shell variables, set by quoted assignments in front of it. All of it goes to standard input of a constant command,
//! so nothing of it shows in the host's process list.

use std::fmt::Write as _;

use super::lean::lean;

/// A script and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    variables: Vec<Variable>,
    /// Our own text, in order.
    parts: Vec<&'static str>,
}

/// A shell variable.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    name: String,
    value: String,
    exported: bool,
}

impl Script {
    /// A script of our own text.
    #[must_use]
    pub fn new(body: &'static str) -> Self {
        Self { variables: Vec::new(), parts: vec![body] }
    }

    /// Puts `part`, functions that the script uses, in front of it.
    #[must_use]
    pub fn using(mut self, part: &'static str) -> Self {
        self.parts.insert(0, part);
        self
    }

    /// Puts `before` and `after`, which are shell, around all that the script does.
    #[must_use]
    pub fn between(mut self, before: &'static str, after: &'static str) -> Self {
        self.parts.insert(0, before);
        self.parts.push(after);
        self
    }

    /// Sets the variable `name` to `value`, whatever is in it.
    ///
    /// A zero byte can't be in a shell variable and is left out.
    #[must_use]
    pub fn with(self, name: &str, value: impl AsRef<str>) -> Self {
        self.variable(name, value.as_ref(), false)
    }

    /// Sets the variable `name` for the script and for all commands that it runs.
    #[must_use]
    pub fn export(self, name: &str, value: impl AsRef<str>) -> Self {
        self.variable(name, value.as_ref(), true)
    }

    fn variable(mut self, name: &str, value: &str, exported: bool) -> Self {
        self.variables.push(Variable { name: name.to_owned(), value: value.replace('\0', ""), exported });
        self
    }

    /// Sets the variable `name` to the `lines`, one a line.
    #[must_use]
    pub fn with_lines<S: AsRef<str>>(self, name: &str, lines: impl IntoIterator<Item = S>) -> Self {
        let lines: Vec<String> = lines.into_iter().map(|line| line.as_ref().replace('\n', " ")).collect();
        self.with(name, lines.join("\n"))
    }

    /// The script for people, with all that its files say; this is what `plan --commands` shows.
    #[must_use]
    pub fn text(&self) -> String {
        self.assigned() + &self.parts.concat()
    }

    /// The same as the host's shell gets it, without the frame of the transport: without comments, and without functions that
    /// nothing calls. Where a shell has to read byte by byte, each kilobyte costs it half a millisecond.
    #[must_use]
    pub fn lean(&self) -> String {
        self.assigned() + &lean(&self.parts.concat())
    }

    /// The data, as assignments.
    fn assigned(&self) -> String {
        let mut text = String::new();
        for Variable { name, value, exported } in &self.variables {
            let export = if *exported { "export " } else { "" };
            let _ = writeln!(text, "{export}{name}={}", quote(value));
        }
        text
    }
}

/// `value` as one word of a shell.
#[must_use]
pub fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// `value` as one word of a shell, bare where it reads better so and means the same.
#[must_use]
pub fn word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+=,-".contains(c);
    if !value.is_empty() && value.chars().all(plain) { value.to_owned() } else { quote(value) }
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
