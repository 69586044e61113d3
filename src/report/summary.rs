//! The words at the end of a run, the same in every form: what failed, what state everything is in, what to type next.

use std::collections::BTreeSet;

use super::{Board, Console, News, Render, Verbosity, seconds};
use crate::engine::{End, Event, Failure, HostEnd, Outcome, Stamped};
use crate::model::{HostName, Paint, ReleaseId, Sign, Table, Tone, Verb, clean, ranges};
use crate::plan::{Phase, Plan};

/// Failures told in full; with more, the rest is likely the same again.
const IN_FULL: usize = 5;

/// Lines of output shown with each.
const EXCERPT: usize = 20;

/// Says the summary when the run is over.
pub struct Summary {
    console: Console,
    paint: Paint,
    verbosity: Verbosity,
}

impl Summary {
    /// A summary on `console`.
    #[must_use]
    pub fn new(console: Console, paint: Paint, verbosity: Verbosity) -> Self {
        Self { console, paint, verbosity }
    }
}

impl Render for Summary {
    fn event(&mut self, board: &Board, event: &Stamped, _: &[News]) {
        let Event::Finished { outcome } = &event.event else { return };
        if outcome.end == End::Done && self.verbosity == Verbosity::Quiet {
            return;
        }
        let text = summary(&board.plan, outcome, event.elapsed, self.paint);
        self.console.say(&format!("\n{}", text.trim_end()));
    }
}

/// The end of a run in words; the last line of a failure names the exit code.
#[must_use]
pub fn summary(plan: &Plan, outcome: &Outcome, elapsed: f64, paint: Paint) -> String {
    let mut lines = Vec::new();
    let kinds = kinds(outcome);
    kinds.iter().take(IN_FULL).for_each(|kind| kind.tell(outcome.end, paint, &mut lines));
    if let Some(rest) = kinds.get(IN_FULL..).filter(|rest| !rest.is_empty()) {
        let hosts: BTreeSet<_> = rest.iter().flat_map(|kind| &kind.hosts).collect();
        let (count, hosts) = (hosts.len(), ranges(hosts.into_iter().copied()));
        lines.extend([format!("{} {count} more failed otherwise: {hosts}", paint.bad("error:")), String::new()]);
    }
    if outcome.end == End::Done {
        let tick = paint.good(paint.sign(Sign::Tick));
        let id = paint.bold(&plan.release.id);
        let serving = outcome.hosts.values().filter(|state| state.serving).count();
        let all = outcome.hosts.len();
        let (count, took) = (count(plan), seconds(elapsed));
        let runs = if plan.verb == Verb::Rollback { "is back on" } else { "runs" };
        lines.push(format!("{tick} {} {runs} {id}: {count} in {took}, {serving} of {all} serving", plan.environment));
    }
    let groups = groups(plan, outcome);
    if outcome.end != End::Done || groups.len() > 1 {
        lines.extend(states(&groups, paint));
        lines.push(String::new());
    }
    let note = |text: &str| format!("{} {text}", paint.bold("note:"));
    lines.extend(outcome.notes.iter().map(|text| note(&clean(text))));
    lines.extend(budget(plan, outcome).map(|text| note(&text)));
    if outcome.end != End::Done {
        lines.push(note(&balance(plan, outcome)));
        let help = |text: String| format!("{} {text}", paint.good("help:"));
        lines.extend(advice(plan, outcome).into_iter().map(help));
        let code = paint.bad(format!("exit {}:", outcome.end.code()));
        lines.push(format!("{code} {} ({})", ending(plan, outcome), seconds(elapsed)));
    }
    lines.join("\n") + "\n"
}

/// How it ended. Who did not serve before, as on a first deploy, does not serve again.
pub(super) fn ending(plan: &Plan, outcome: &Outcome) -> &'static str {
    let serving = outcome.hosts.values().filter(|state| state.serving).count();
    match (outcome.end, plan.verb) {
        (End::RolledBack, _) if serving == 0 => "failed and rolled back, nothing serves as before",
        (End::RolledBack, _) if serving < outcome.hosts.len() => "failed and rolled back, all serving that did before",
        (End::RolledBack, Verb::Rollback) => "failed and put back as it was, all serving",
        (end, _) => end.words(),
    }
}

/// Hosts that failed alike: with one bad release, that is most often all of them.
struct Kind<'a> {
    step: &'a str,
    failure: &'a Failure,
    hosts: Vec<&'a HostName>,
}

/// What a failure says, but for how often something was tried: that differs from host to host, and says nothing.
fn said(failure: &Failure) -> Vec<&str> {
    let tries = |end: &str| end.strip_suffix(" tries").is_some_and(|count| count.parse::<u32>().is_ok());
    let part = |text| str::rsplit_once(text, ", ").filter(|(_, end)| tries(end)).map_or(text, |(start, _)| start);
    failure.what.split("; ").map(part).collect()
}

/// The failures by what happened, worst first as they came.
fn kinds(outcome: &Outcome) -> Vec<Kind<'_>> {
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for (host, step, failure) in &outcome.failures {
        let is_alike = |kind: &&mut Kind<'_>| {
            kind.step == step && said(kind.failure) == said(failure) && kind.failure.code == failure.code
        };
        match kinds.iter_mut().find(is_alike) {
            Some(kind) => kind.hosts.push(host),
            None => kinds.push(Kind { step, failure, hosts: vec![host] }),
        }
    }
    kinds
}

impl Kind<'_> {
    fn tell(&self, end: End, paint: Paint, lines: &mut Vec<String>) {
        let Self { failure, hosts, .. } = self;
        let code = failure.code.map(|code| format!(" (exit code {code})")).unwrap_or_default();
        let (step, what) = (clean(self.step), clean(&failure.what));
        let who = match hosts[..] {
            [host] => format!("`{host}`"),
            _ => format!("{} hosts", hosts.len()),
        };
        // Who cancels a run means to stop what is going on, so that is no error.
        lines.push(match end {
            End::Cancelled => format!("{} {who} at {step}: {what}{code}", paint.wait("stopped:")),
            _ => format!("{} {who} failed at {step}: {what}{code}", paint.bad("error:")),
        });
        let skipped = failure.output.len().saturating_sub(EXCERPT);
        let edge = paint.dim(paint.sign(Sign::Edge));
        if hosts.len() > 1 {
            let whose = if failure.output.is_empty() { String::new() } else { format!("; output of {}", hosts[0]) };
            lines.push(format!("  {}{whose}", ranges(hosts.iter().copied())));
        }
        if skipped > 0 {
            lines.push(format!("  {edge} {}", paint.dim(format!("({skipped} earlier lines)"))));
        }
        let output = failure.output[skipped..].iter().map(|line| format!("  {edge} {}", clean(line)));
        lines.extend(output.map(|line| line.trim_end().to_owned()));
        if let Some(help) = &failure.help {
            lines.push(format!("  {} {}", paint.good("help:"), clean(help)));
        }
        lines.push(String::new());
    }
}

/// Hosts that ended alike.
struct Group<'a> {
    state: &'a HostEnd,
    hosts: Vec<&'a HostName>,
}

/// The hosts by how they ended: those in trouble first, then those that do not serve, then those that failed.
fn groups<'a>(plan: &Plan, outcome: &'a Outcome) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let place = |host: &HostName| plan.fleet.iter().position(|one| one == host);
    let mut hosts: Vec<_> = outcome.hosts.iter().collect();
    let failed = |host: &HostName| outcome.failures.iter().any(|(one, ..)| one == host);
    hosts.sort_by_cached_key(|(host, state)| (!state.trouble, state.serving, !failed(host), place(host)));
    for (host, state) in hosts {
        match groups.iter_mut().find(|group| group.state == state) {
            Some(group) => group.hosts.push(host),
            None => groups.push(Group { state, hosts: vec![host] }),
        }
    }
    groups
}

fn states(groups: &[Group<'_>], paint: Paint) -> Vec<String> {
    let mut table = Table::default();
    for Group { state, hosts } in groups {
        let release = state.release.as_ref().map_or("release unknown", ReleaseId::as_str);
        let serving = match (state.serving, state.trouble) {
            (true, _) => (Tone::Good, "serving"),
            (false, true) => (Tone::Bad, "not serving"),
            (false, false) => (Tone::Wait, "not serving"),
        };
        let tone = if state.trouble { Tone::Bad } else { Tone::Bold };
        table.row([
            (tone, ranges(hosts.iter().copied())),
            (Tone::Plain, release.to_owned()),
            (serving.0, serving.1.to_owned()),
            (Tone::Plain, clean(&state.note)),
        ]);
    }
    table.lines("  ", paint)
}

/// Why the run stopped, where the failed hosts are the reason.
fn budget(plan: &Plan, outcome: &Outcome) -> Option<String> {
    // A failed task, and a failure in tidying up, end a run whatever the budget.
    let budgeted = |host: &HostName, step: &str| {
        let waves = plan.waves.iter().filter(|wave| matches!(wave.phase, Phase::Prepare | Phase::Switch));
        let mut lanes = waves.flat_map(|wave| &wave.lanes).filter(|lane| lane.host == *host);
        lanes.any(|lane| lane.steps.iter().any(|one| one.action.to_string() == step))
    };
    let failures = outcome.failures.iter().filter(|(host, step, _)| budgeted(host, step));
    let failed: BTreeSet<&HostName> = failures.map(|(host, ..)| host).collect();
    let stopped = failed.len() > plan.max_failures && !matches!(outcome.end, End::Done | End::Cancelled);
    let hosts = if failed.len() == 1 { "host" } else { "hosts" };
    stopped.then(|| format!("stopped after {} failed {hosts} (`max-failures = {}`)", failed.len(), plan.max_failures))
}

/// How many hosts run what, and how many serve.
fn balance(plan: &Plan, outcome: &Outcome) -> String {
    let mut releases: Vec<(Option<&ReleaseId>, usize)> = Vec::new();
    for state in outcome.hosts.values() {
        let release = state.release.as_ref();
        match releases.iter_mut().find(|(known, _)| *known == release) {
            Some((_, count)) => *count += 1,
            None => releases.push((release, 1)),
        }
    }
    // The release of the deploy first, what is unknown last.
    releases.sort_by_key(|(release, _)| (release.is_none(), *release != Some(&plan.release.id), *release));
    let parts = releases.iter().map(|(release, count)| match release {
        Some(release) => format!("{count} on {release}"),
        None => format!("{count} unknown"),
    });
    let serving = outcome.hosts.values().filter(|state| state.serving).count();
    let floor = plan.floor().map(|floor| format!(" (floor {floor})")).unwrap_or_default();
    let parts = parts.collect::<Vec<_>>().join(", ");
    format!("{parts}; {serving} of {} serve{floor}", outcome.hosts.len())
}

/// What to type next.
fn advice(plan: &Plan, outcome: &Outcome) -> Vec<String> {
    let (environment, new) = (&plan.environment, &plan.release.id);
    // A host that could not be reached has not got what this run has made.
    let made = plan.waves.iter().any(|wave| wave.phase == Phase::Prepare);
    let (again, on, back) = match plan.verb {
        Verb::Deploy => (
            format!("`shipit deploy {environment}`"),
            if made && !plan.skipped.is_empty() {
                format!("`shipit deploy {environment}` when {} can be reached", ranges(&plan.skipped))
            } else {
                format!("`shipit deploy {environment} --release {new}`")
            },
            plan.replaces.iter().any(|old| old != new).then(|| format!("`shipit rollback {environment}`")),
        ),
        // What it went back from is bad by now, so there is one way only.
        Verb::Rollback => {
            let on = format!("`shipit rollback {environment} --to {new}`");
            (on.clone(), on, None)
        }
    };
    match outcome.end {
        End::Done => Vec::new(),
        End::RolledBack => vec![format!("mend what failed, then {again}")],
        End::Cancelled if outcome.hosts.values().all(|state| state.release.as_ref() != Some(new)) => {
            vec![format!("nothing runs {new}; begin again with {on}")]
        }
        End::Mixed | End::Cancelled => go_on_or_back(&on, back),
        End::NeedsPerson => {
            let troubled = || outcome.hosts.iter().filter(|(_, state)| state.trouble);
            let silent = ranges(troubled().filter(|(_, state)| state.release.is_none()).map(|(host, _)| host));
            let out = ranges(troubled().filter(|(_, state)| !state.serving).map(|(host, _)| host));
            let mut advice = vec![format!("look at everything with `shipit status {environment}`")];
            if troubled().next().is_none() {
                let all = outcome.hosts.values().all(|state| state.release.as_ref() == Some(new));
                let next = if all {
                    format!("every host runs {new}; mend what failed after that, then {on}")
                } else {
                    format!("mend what failed, then {again}")
                };
                advice.push(next);
            }
            if !silent.is_empty() {
                advice.push(format!("on {silent}: is it up, does the app run, and what does `current` point at?"));
            }
            if !out.is_empty() {
                let host = if troubled().filter(|(_, state)| !state.serving).count() == 1 { &out } else { "HOST" };
                let enable = format!("`shipit enable {host} {environment}`");
                advice.push(format!("{out} gets no traffic; when its app is healthy, {enable}"));
            }
            advice
        }
    }
}

fn go_on_or_back(on: &str, back: Option<String>) -> Vec<String> {
    let mut advice = vec![format!("go on with {on}")];
    advice.extend(back.map(|back| format!("or go back with {back}")));
    advice
}

fn count(plan: &Plan) -> String {
    match plan.switched().len() {
        0 => "no host switched".to_owned(),
        1 => "1 host".to_owned(),
        count => format!("{count} hosts"),
    }
}
