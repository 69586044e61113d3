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
    let what =
        if reasons.is_empty() { format!("the script ended with code {}", output.code) } else { reasons.join("; ") };
    StepResult::Failed(Failure {
        what: discreet(&what),
        code: words(&output.stdout, "code").next().and_then(|code| code.parse().ok()),
        output: last_lines(&output.stderr),
        help: words(&output.stdout, "help").next().map(str::to_owned),
    })
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
