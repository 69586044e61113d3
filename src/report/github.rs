//! What GitHub Actions shows besides the log: annotations, a group of output for each failed host, the step's summary
//! and its outputs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::summary::ending;
use super::{Board, Console, News, Render, seconds};
use crate::engine::{End, Event, Failure, Outcome, Stamped};
use crate::model::{HostName, ReleaseId, clean};
use crate::plan::Phase;

/// GitHub keeps ten annotations of a kind for each step and drops the others in silence, so the tenth is a count.
const ANNOTATIONS: usize = 9;

/// Failures whose output gets a group; who opens more than this many is looking for something else.
const GROUPS: usize = 50;

/// Lines of output in an annotation.
const EXCERPT: usize = 5;

/// GitHub drops a summary whole if it is larger than 1 MiB.
const LARGEST_SUMMARY: usize = 900 << 10;

/// The files that GitHub reads when the step is over.
#[derive(Debug, Clone, Default)]
pub struct GithubFiles {
    /// `$GITHUB_STEP_SUMMARY`.
    pub summary: Option<PathBuf>,
    /// `$GITHUB_OUTPUT`.
    pub output: Option<PathBuf>,
}

/// Tells GitHub.
pub struct Github {
    console: Console,
    files: GithubFiles,
    token: String,
    took: BTreeMap<HostName, f64>,
}

impl GithubFiles {
    /// The files that the environment's variables name.
    #[must_use]
    pub fn from_environment() -> Self {
        let path = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { summary: path("GITHUB_STEP_SUMMARY"), output: path("GITHUB_OUTPUT") }
    }
}

impl Github {
    /// Tells GitHub by commands on `console` and by `files`.
    #[must_use]
    pub fn new(console: Console, files: GithubFiles) -> Self {
        // Each state is keyed by the system's randomness, which is all that an unguessable word needs.
        let token = format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1));
        Self::with_token(console, files, format!("shipit-{token}"))
    }

    /// The same with a known word that ends the stop of commands, for tests.
    #[must_use]
    pub fn with_token(console: Console, files: GithubFiles, token: String) -> Self {
        Self { console, files, token, took: BTreeMap::new() }
    }

    fn groups(&mut self, outcome: &Outcome) {
        let with_output = outcome.failures.iter().filter(|(.., failure)| !failure.output.is_empty());
        for (host, step, failure) in with_output.take(GROUPS) {
            let title = format!("{host}: output of {}", clean(step));
            self.console.raw(&command("group", &[], &title));
            self.console.raw(&command("stop-commands", &[], &self.token));
            for line in &failure.output {
                self.console.say(&format!("{host} | {}", clean(line)));
            }
            self.console.raw(&command(&self.token, &[], ""));
            self.console.raw(&command("endgroup", &[], ""));
        }
    }

    fn annotations(&mut self, outcome: &Outcome) {
        for (host, step, failure) in outcome.failures.iter().take(ANNOTATIONS) {
            let verb = if outcome.end == End::Cancelled { "stopped" } else { "failed" };
            let title = format!("{host} {verb} at {}", clean(step));
            let skipped = failure.output.len().saturating_sub(EXCERPT);
            let mut lines = vec![clean(&failure.what)];
            lines.extend(failure.output[skipped..].iter().map(|line| clean(line)));
            let kind = if outcome.end == End::Cancelled { "warning" } else { "error" };
            self.console.raw(&command(kind, &[("title", &title)], &lines.join("\n")));
        }
        let rest = outcome.failures.len().saturating_sub(ANNOTATIONS);
        if rest > 0 {
            let more = format!("{rest} more failures; see the step's summary");
            self.console.raw(&command("error", &[("title", "shipit")], &more));
        }
    }
}

impl Render for Github {
    fn event(&mut self, board: &Board, event: &Stamped, news: &[News]) {
        for one in news {
            if let News::LaneEnded { at, took, .. } = one
                && board.plan.waves[at.wave].phase == Phase::Switch
            {
                *self.took.entry(board.host(*at).clone()).or_default() += took;
            }
        }
        let Event::Finished { outcome } = &event.event else { return };
        self.groups(outcome);
        self.annotations(outcome);
        if let Some(path) = &self.files.summary {
            append(path, &step_summary(board, outcome, &self.took, event.elapsed));
        }
        if let Some(path) = &self.files.output {
            let (end, run) = (outcome.end, &board.run);
            append(path, &format!("run={run}\noutcome={}\ncode={}\n", end.as_str(), end.code()));
        }
    }
}

/// Adds `text` to the file at `path`; a file that can't be written must not fail a deploy that is done.
fn append(path: &Path, text: &str) {
    let _ =
        OpenOptions::new().append(true).create(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
}

/// The page that GitHub shows for the step.
fn step_summary(board: &Board, outcome: &Outcome, took: &BTreeMap<HostName, f64>, elapsed: f64) -> String {
    let plan = &board.plan;
    let end = outcome.end;
    let mut page = format!(
        "### shipit: {} {}\n\n{} by {} in {}, run <code>{}</code>, exit {}\n\n",
        plan.environment,
        ending(plan, outcome),
        plan.headline(crate::model::Paint::PLAIN),
        plan.strategy,
        seconds(elapsed),
        escape_markdown(&board.run),
        end.code(),
    );
    for note in &outcome.notes {
        let _ = writeln!(page, "- {}", escape_markdown(&clean(note)));
    }
    page.push_str("\n| host | release | state | | duration |\n|---|---|---|---|---:|\n");
    let mut cut = false;
    for host in plan.fleet.iter().chain(outcome.hosts.keys().filter(|host| !plan.fleet.contains(host))) {
        let Some(state) = outcome.hosts.get(host) else { continue };
        let release = state.release.as_ref().map_or("unknown", ReleaseId::as_str);
        let serving = if state.serving { "serving" } else { "**not serving**" };
        let note = escape_markdown(&clean(&state.note));
        let took = took.get(host).map(|took| seconds(*took)).unwrap_or_default();
        let row = format!("| {host} | {release} | {serving} | {note} | {took} |\n");
        cut = cut || page.len() + row.len() > LARGEST_SUMMARY;
        if !cut {
            page.push_str(&row);
        }
    }
    for (host, step, failure) in &outcome.failures {
        let fold = fold(host, step, failure);
        cut = cut || page.len() + fold.len() > LARGEST_SUMMARY;
        if !cut {
            page.push_str(&fold);
        }
    }
    if cut {
        page.push_str("\n\nThere is more, which does not fit here; the log has it.\n");
    }
    page + "\n"
}

fn fold(host: &HostName, step: &str, failure: &Failure) -> String {
    let code = failure.code.map(|code| format!(" (exit code {code})")).unwrap_or_default();
    let (step, what) = (escape_html(&clean(step)), escape_html(&clean(&failure.what)));
    // One line each: a blank line would end the HTML, and what follows would be read as Markdown.
    let output = failure.output.iter().map(|line| escape_html(&clean(line))).collect::<Vec<_>>().join("&#10;");
    format!("\n<details><summary>{host} failed at {step}: {what}{code}</summary><pre>{output}</pre></details>\n")
}

/// A command to GitHub's runner, as the line that gives it.
#[must_use]
pub fn command(name: &str, properties: &[(&str, &str)], data: &str) -> String {
    let properties: Vec<String> =
        properties.iter().map(|(key, value)| format!("{key}={}", escape_property(value))).collect();
    let blank = if properties.is_empty() { "" } else { " " };
    format!("::{name}{blank}{}::{}\n", properties.join(","), escape_data(data))
}

fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// `text` so that HTML sees nothing in it.
fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// `text` so that neither Markdown nor HTML sees anything in it: Markdown takes a character given by number as text.
fn escape_markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || " ,;/%=-()".contains(c) {
            safe.push(c);
        } else {
            let _ = write!(safe, "&#{};", u32::from(c));
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_property_or_the_data() {
        assert_eq!(escape_property("a: b, 5%\r\n::error"), "a%3A b%2C 5%25%0D%0A%3A%3Aerror");
        assert_eq!(escape_data("%0A::x\n"), "%250A::x%0A");
    }

    #[test]
    fn a_cell_stays_a_cell() {
        assert_eq!(escape_markdown("a|b <b> `x` [l](u)"), "a&#124;b &#60;b&#62; &#96;x&#96; &#91;l&#93;(u)");
    }
}
