//! Words for people, outside a run.

use std::io::{Write, stderr, stdout};

use crate::config::Annotation;
use crate::driver::Survey;
use crate::model::{Paint, Tone, clean, ranges};
use crate::report::github_command;

/// Says `text` and ends the line.
///
/// Unlike `eprintln!`, which panics when standard error is closed or its disk is full: what a command came to is in its
/// exit code, and a reader that has gone away must not change that.
pub fn line(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// An error and the way out.
pub fn error(paint: Paint, what: &str, help: Option<&str>) {
    line(&format!("{} {}", paint.tone(Tone::Bad, "error:"), clean(what)));
    if let Some(help) = help {
        line(&format!("{} {}", paint.tone(Tone::Good, "help:"), clean(help)));
    }
}

/// Something that is odd, and stops nobody.
pub fn warning(paint: Paint, what: &str) {
    line(&format!("{} {}", paint.tone(Tone::Wait, "warning:"), clean(what)));
}

/// What stands in the way, each thing once with all the hosts that it stands on.
pub fn survey(paint: Paint, survey: &Survey) {
    let found = survey.by_problem();
    let count = found.len();
    let (thing, verb) = if count == 1 { ("thing", "stands") } else { ("things", "stand") };
    line(&format!("{} {count} {thing} {verb} in the way; nothing was changed", paint.tone(Tone::Bad, "error:")));
    for (problem, hosts) in found {
        let hosts = ranges(hosts);
        line(&format!("  {}  {}", paint.bold(&hosts), clean(&problem.what)));
        if let Some(help) = &problem.help {
            let indent = " ".repeat(hosts.len());
            line(&format!("  {indent}    {} {}", paint.tone(Tone::Good, "help:"), clean(help)));
        }
    }
}

/// A place in a file, for GitHub to show in the diff.
pub fn annotate(place: &Annotation) {
    let Annotation { file, line, column, message, .. } = place;
    let (line, column) = (line.to_string(), column.to_string());
    let command = github_command("error", &[("file", file), ("line", &line), ("col", &column)], message);
    let _ = stdout().write_all(command.as_bytes());
}
