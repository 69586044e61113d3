//! `[health]`: what admits an instance.

use std::time::Duration;

use crate::model::{HealthSpec, ReleaseProof, friendly};

use super::app::uses_port;
use super::report::Wrong;
use super::table::Table;
use super::template::Templates;
use super::value::Value;
use super::{take, url};

/// Between two checks: often enough that a deploy does not wait for the clock, seldom enough not to be load.
const INTERVAL: Duration = Duration::from_millis(500);

/// For one answer: a health page that takes longer is not healthy.
const TIMEOUT: Duration = Duration::from_secs(5);

/// For the whole: twice the boot of a large Rails app.
const DEADLINE: Duration = Duration::from_mins(1);

/// In a row: one pass may come from the old process on its way out.
const PASSES: u32 = 2;

/// Reads `[health]` for so many `instances` of the app.
pub(super) fn read(table: &Table<'_>, templates: Templates<'_>, instances: usize) -> Result<HealthSpec, Wrong> {
    let url = table.required("url", "\"http://127.0.0.1:{port}/up\"", |value| {
        let url = url::of_a_page(value, templates)?;
        uses_port(value, url, instances, "one healthy instance would vouch for the others")
    });
    let interval = table.or("interval", take::duration, INTERVAL);
    let timeout = table.or("timeout", take::duration, TIMEOUT);
    let deadline = table.or("deadline", take::duration, DEADLINE);
    let passes =
        table.or("passes", take::at_least(1, "a number of passes", "without a pass nothing is checked"), PASSES);
    let release = table.or("release", proof, ReleaseProof::Process);
    table.finish();
    let (timeout, deadline) = (timeout?, deadline?);
    if deadline < timeout {
        let key = if table.has("deadline") { "deadline" } else { "timeout" };
        let error = super::Diagnostic::new("`health.deadline` is shorter than `health.timeout`")
            .at(table.place_of(key).label(format!(
                "one answer may take {}, but all checks together {}",
                friendly(timeout),
                friendly(deadline)
            )))
            .help("the deadline is the time from the restart until the app is healthy, the slowest boot included");
        return Err(table.file().report(error));
    }
    Ok(HealthSpec { url: url?, interval: interval?, timeout, deadline, passes: passes?, release: release? })
}

fn proof(value: &Value<'_>) -> Result<ReleaseProof, Wrong> {
    let text = value.string()?;
    match (text, text.strip_prefix("header:")) {
        ("process", _) => Ok(ReleaseProof::Process),
        ("body", _) => Ok(ReleaseProof::Body),
        (_, Some(header)) => {
            // The characters of a token of HTTP that occur in header names.
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if !header.is_empty() && header.chars().all(fits) {
                return Ok(ReleaseProof::Header(header.to_owned()));
            }
            let error = value.wrong("needs the name of a header", "");
            Err(value.fail_with(error.help("write for example `\"header:X-Release\"`")))
        }
        _ => Err(take::unknown_word(value, text, ["process", "body", "header:NAME"])),
    }
}
