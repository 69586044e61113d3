//! What a script's answer means for its step.

use std::time::Duration;

use crate::model::{Failure, StepResult, discreet, friendly};
use crate::transport::{ExecError, Output};

/// So many lines of output are kept for people; what matters is at the end, and more hides it.
const LINES_SHOWN: usize = 20;

/// The result of a step by its script's answer, in the form that `scripts/common.sh` describes.
#[must_use]
pub fn judge(answer: Result<Output, ExecError>) -> StepResult {
    let output = match answer {
        Ok(output) => output,
        Err(error) => return StepResult::Unknown(unknown(&error)),
    };
    if output.code == 0 {
        return StepResult::Ok(note(&output.stdout));
    }
    let mut reasons = words(&output.stdout, "fail").collect::<Vec<_>>();
    // Instances fail side by side, in any order; hosts that fail alike are to say the same.
    reasons.sort_unstable();
    reasons.dedup();
    let what = if reasons.is_empty() { format!("the script ended with code {}", output.code) } else { told(&reasons) };
    StepResult::Failed(Failure {
        what: discreet(&what),
        code: words(&output.stdout, "code").next().and_then(|code| code.parse().ok()),
        output: last_lines(&output.stderr),
        help: words(&output.stdout, "help").next().map(str::to_owned),
    })
}

/// The reasons as one text. Instances that failed for the same one have it told once: of a host with eight, the eighth says nothing new.
fn told(reasons: &[&str]) -> String {
    let mut told: Vec<(&str, Option<String>, Vec<&str>)> = Vec::new();
    for reason in reasons {
        let (instance, form) = form(reason).unzip();
        match told.iter_mut().find(|(_, known, _)| form.is_some() && *known == form) {
            Some((.., others)) => others.extend(instance),
            None => told.push((reason, form, Vec::new())),
        }
    }
    let texts = told.into_iter().map(|(reason, _, others)| match &others[..] {
        [] => reason.to_owned(),
        others => format!("{reason}; {} likewise", others.join(", ")),
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// The instance that a reason is about, and the reason without what sets it apart from another instance's.
fn form(reason: &str) -> Option<(&str, String)> {
    let (_, rest) = reason.split_once("instance ")?;
    let instance = &rest[..rest.find(|c: char| !c.is_ascii_digit())?];
    let tries = |(_, tail): &(&str, &str)| tail.ends_with(" tries");
    let same = reason.rsplit_once(", ").filter(tries).map_or(reason, |(same, _)| same);
    (!instance.is_empty()).then(|| (instance, same.replace(instance, "")))
}

/// Whether a script gave up because no guard of its deploy stood there.
#[must_use]
pub fn was_refused(output: &Output) -> bool {
    output.code != 0 && output.stdout.lines().any(|line| line == "unguarded")
}

fn unknown(error: &ExecError) -> Failure {
    Failure::new(error.to_string()).with_help("see whether the host is up and reachable by ssh")
}

/// The values of the lines that begin with `word`.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(word)).filter_map(|rest| rest.strip_prefix(' '))
}

/// A few words on a success: what the script said, and the slowest instance's figure.
fn note(text: &str) -> String {
    let said: Vec<&str> = words(text, "said").collect();
    let slowest = |word, unit: f64| {
        let figures = words(text, word).filter_map(|line| line.split_once(' ')?.1.parse::<f64>().ok());
        figures.map(|figure| figure * unit).reduce(f64::max).map(|most| friendly(Duration::from_secs_f64(most)))
    };
    let mut notes: Vec<String> = said.into_iter().map(str::to_owned).collect();
    notes.extend(slowest("healthy", 0.01).map(|most| format!("healthy after {most}")));
    notes.extend(slowest("warmed", 1.0).map(|most| format!("last answer in {most}")));
    notes.join(", ")
}

fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].iter().map(|line| discreet(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(code: i32, stdout: &str) -> Output {
        Output { code, stdout: stdout.to_owned(), stderr: "one\n\ntwo\n".to_owned() }
    }

    #[test]
    fn a_failure_carries_reason_code_output_and_way_out() {
        let StepResult::Failed(failure) = judge(Ok(output(1, "code 7\nfail it broke\nhelp mend it\n"))) else {
            panic!()
        };
        assert_eq!(failure.what, "it broke");
        assert_eq!((failure.code, failure.help.as_deref()), (Some(7), Some("mend it")));
        assert_eq!(failure.output, ["one", "two"]);
    }

    #[test]
    fn instances_are_told_in_one_order_whoever_failed_first() {
        let StepResult::Failed(failure) = judge(Ok(output(1, "fail 4041 is down\nfail 4040 is down\n"))) else {
            panic!()
        };
        assert_eq!(failure.what, "4040 is down; 4041 is down");
    }

    #[test]
    fn instances_that_failed_alike_are_told_once() {
        for (said, told) in [
            (
                "fail instance 4041 is late: no /4041/up, 7 tries\nfail instance 4040 is late: no /4040/up, 9 tries\n",
                "instance 4040 is late: no /4040/up, 9 tries; 4041 likewise",
            ),
            (
                "fail instance 4040 says 500\nfail instance 4041 says 404\nfail instance 4042 says 500\n",
                "instance 4040 says 500; 4042 likewise; instance 4041 says 404",
            ),
            (
                "fail the restart of instance 1 failed\nfail the restart of instance 2 failed\nfail the restart of instance 3 failed\n",
                "the restart of instance 1 failed; 2, 3 likewise",
            ),
            ("fail no instance \nfail no instance at all\n", "no instance ; no instance at all"),
        ] {
            assert!(
                matches!(judge(Ok(output(1, said))), StepResult::Failed(failure) if failure.what == told),
                "{said}"
            );
        }
    }

    #[test]
    fn a_script_that_died_without_a_word_has_failed() {
        assert!(matches!(judge(Ok(output(137, ""))), StepResult::Failed(failure) if failure.what.contains("137")));
    }

    #[test]
    fn a_broken_line_is_no_failure_but_unknown() {
        assert!(matches!(judge(Err(ExecError::Lost("gone".to_owned()))), StepResult::Unknown(_)));
    }

    #[test]
    fn the_slowest_instance_is_told() {
        assert_eq!(
            judge(Ok(output(0, "healthy 4040 120\nhealthy 4041 310\n"))),
            StepResult::Ok("healthy after 3.1s".into())
        );
    }
}
