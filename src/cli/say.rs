//! Words for people, outside a run.

use crate::config::Annotation;
use crate::driver::Survey;
use crate::model::{Paint, Tone, clean};
use crate::report::defuse;

/// An error and the way out.
pub fn error(paint: Paint, what: &str, help: Option<&str>) {
    eprintln!("{} {}", paint.tone(Tone::Bad, "error:"), clean(what));
    if let Some(help) = help {
        eprintln!("{} {}", paint.tone(Tone::Good, "help:"), clean(help));
    }
}

/// What stands in the way, by host.
pub fn survey(paint: Paint, survey: &Survey) {
    let count: usize = survey.problems.values().map(Vec::len).sum();
    let (thing, verb) = if count == 1 { ("thing", "stands") } else { ("things", "stand") };
    eprintln!("{} {count} {thing} {verb} in the way; nothing was changed", paint.tone(Tone::Bad, "error:"));
    for (host, problems) in &survey.problems {
        for problem in problems {
            eprintln!("  {}  {}", paint.bold(host), clean(&problem.what));
            if let Some(help) = &problem.help {
                eprintln!(
                    "  {}    {} {}",
                    " ".repeat(host.as_str().len()),
                    paint.tone(Tone::Good, "help:"),
                    clean(help)
                );
            }
        }
    }
}

/// A place in a file, for GitHub to show in the diff.
pub fn annotate(place: &Annotation) {
    let Annotation { file, line, column, message, .. } = place;
    println!("::error file={},line={line},col={column}::{}", defuse(file), defuse(message));
}
