//! What `shipit runs` and `shipit logs` print.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::engine::End;
use crate::model::{
    EnvironmentName, HostName, Paint, Record, ReleaseId, Run, Table, Tone, Verb, clean, friendly, ranges,
};

/// Runs, as they are given: the newest first.
#[must_use]
pub fn runs(runs: &[Run], paint: Paint) -> String {
    if runs.is_empty() {
        return "no host remembers a run yet\n".to_owned();
    }
    let mut table = Table::default();
    let headings = ["run", "who", "verb", "strategy", "release", "outcome", "hosts"];
    table.row(headings.map(|heading| (Tone::Dim, heading.to_owned())));
    for run in runs {
        table.row([
            (Tone::Bold, run.id.to_string()),
            (Tone::Plain, word(run.who.as_deref())),
            (Tone::Plain, verb(run)),
            (Tone::Plain, word(run.strategy.as_deref())),
            (Tone::Plain, word(run.release.as_ref().map(|release| release.id.as_str()))),
            outcome(run),
            (Tone::Plain, ranges(run.hosts.keys())),
        ]);
    }
    table.lines("", paint).join("\n") + "\n"
}

/// One run: what it was about, and what was done on all hosts, in order of time.
#[must_use]
pub fn log(run: &Run, paint: Paint) -> String {
    let release = word(run.release.as_ref().map(|release| release.id.as_str()));
    let (tone, end) = outcome(run);
    let by = run.strategy.as_deref().map(|strategy| format!(" by {}", clean(strategy))).unwrap_or_default();
    let mut lines = vec![
        format!("{}: {} {release}{by}, {}", paint.bold(&run.id), deed(run), paint.tone(tone, end)),
        paint.dim(format!("  {}, by {}", clean(&run.time), word(run.who.as_deref()))),
    ];
    lines.extend(run.options.iter().map(|options| paint.dim(format!("  with {}", clean(options)))));
    lines.push(String::new());
    let mut table = Table::default();
    for line in LogLine::of(run) {
        let what = if line.what == "began" { began(run, line.host) } else { line.deed() };
        let took = line.took.map(|took| format!("{}s", clean(took))).unwrap_or_default();
        let result = line.result.map(clean).unwrap_or_default();
        let tone = if result == "failed" { Tone::Bad } else { Tone::Plain };
        table.row([
            (Tone::Dim, clean(line.time)),
            (Tone::Bold, line.host.to_string()),
            (Tone::Plain, what),
            (tone, result),
            (Tone::Dim, took),
            (Tone::Plain, line.why.map(clean).unwrap_or_default()),
        ]);
    }
    lines.extend(table.lines("  ", paint));
    lines.join("\n") + "\n"
}

/// One line of a log, for programs.
#[derive(Debug, Serialize)]
pub struct LogLine<'a> {
    time: &'a str,
    host: &'a HostName,
    what: &'a str,
    /// Whether it took another step back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    undo: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl<'a> LogLine<'a> {
    /// The lines of `run`, in order of time.
    #[must_use]
    pub fn of(run: &'a Run) -> Vec<Self> {
        run.records.iter().map(|(host, record)| Self::line(host, record)).collect()
    }

    fn line(host: &'a HostName, record: &'a Record) -> Self {
        Self {
            time: &record.time,
            host,
            what: record.field("do").unwrap_or(&record.kind),
            undo: record.field("undo").is_some(),
            release: record.field("release"),
            result: record.field("result").or_else(|| record.field("outcome")),
            took: record.field("took"),
            why: record.field("why"),
        }
    }

    /// What was done, for people.
    fn deed(&self) -> String {
        format!("{}{}", if self.undo { "undo: " } else { "" }, clean(self.what))
    }
}

fn began(run: &Run, host: &HostName) -> String {
    match run.hosts.get(host) {
        Some(Some(replaced)) => format!("began, in place of {replaced}"),
        _ => "began".to_owned(),
    }
}

fn verb(run: &Run) -> String {
    let resumed = if run.resumes.is_some() { " (resumed)" } else { "" };
    format!("{}{resumed}", run.verb)
}

/// The same before the name of a release.
fn deed(run: &Run) -> String {
    format!("{} {}", verb(run), if run.verb == Verb::Rollback { "to" } else { "of" })
}

/// How a run ended, in the words of its exit code.
fn outcome(run: &Run) -> (Tone, String) {
    let Some(outcome) = run.outcome.as_deref() else { return (Tone::Wait, "unfinished".to_owned()) };
    let all = [End::Done, End::RolledBack, End::Mixed, End::NeedsPerson, End::Cancelled];
    let tone = match all.into_iter().find(|end| end.as_str() == outcome) {
        Some(End::Done) => Tone::Good,
        Some(End::Cancelled) => Tone::Wait,
        _ => Tone::Bad,
    };
    (tone, clean(outcome))
}

fn word(text: Option<&str>) -> String {
    text.map_or_else(|| "-".to_owned(), clean)
}

/// A run that was cut off or cancelled and that nobody has settled, with the ways out.
#[must_use]
pub fn settle(run: &Run, environment: &EnvironmentName, now: Timestamp) -> String {
    let began = run.time.parse::<Timestamp>().ok();
    let ago = began.and_then(|began| Duration::try_from(now.duration_since(began)).ok());
    let ago =
        ago.map(|ago| format!(" began {} ago and", friendly(Duration::from_secs(ago.as_secs())))).unwrap_or_default();
    let end = if run.outcome.is_some() { "was cancelled" } else { "was cut off" };
    let release = word(run.release.as_ref().map(|release| release.id.as_str()));
    format!(
        "{} {release} by {}{ago} {end} (run {}): `shipit resume {environment}` finishes it, `shipit rollback {environment}` undoes it",
        deed(run),
        word(run.who.as_deref()),
        run.id
    )
}

/// What a run that was cut off leaves on its hosts: the last thing that each noted, and what it runs.
#[must_use]
pub fn unfinished(run: &Run, running: &BTreeMap<HostName, Option<ReleaseId>>, paint: Paint) -> String {
    let release = word(run.release.as_ref().map(|release| release.id.as_str()));
    let what = format!("{} {release} was not finished", deed(run));
    let mut lines = vec![
        format!("{}: {what}", paint.tone(Tone::Wait, &run.id)),
        paint.dim(format!("  {}, by {}", clean(&run.time), word(run.who.as_deref()))),
        String::new(),
    ];
    let mut table = Table::default();
    for host in run.hosts.keys() {
        let last = run.records.iter().rfind(|(on, _)| on == host).map(|(host, record)| LogLine::line(host, record));
        let last = last.map(|line| {
            format!("last: {} {}", line.deed(), line.result.map(clean).unwrap_or_default()).trim_end().to_owned()
        });
        let runs = match running.get(host) {
            Some(Some(release)) => release.to_string(),
            Some(None) => "release unknown".to_owned(),
            None => "not reachable".to_owned(),
        };
        table.row([(Tone::Bold, host.to_string()), (Tone::Plain, runs), (Tone::Dim, last.unwrap_or_default())]);
    }
    lines.extend(table.lines("  ", paint));
    lines.join("\n") + "\n"
}
