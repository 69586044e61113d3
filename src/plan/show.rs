//! The plan as text: what `shipit plan` prints, and what is confirmed before a deploy.

use std::collections::BTreeSet;

use super::{Action, Gate, Lane, Phase, Plan, Step, Wave};
use crate::model::{HostName, Observation, Paint, Reach, Sign, Table, Tone, Until, Verb, clean, friendly, ranges};

/// Old releases that the headline names.
const NAMED: usize = 3;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// A line for each wave.
    Waves,
    /// Each step as well, with its time-out and what takes it back.
    Steps,
}

/// `plan` as text; `observed` gives the reasons why hosts are left out.
#[must_use]
pub fn show(plan: &Plan, observed: Option<&Observation>, detail: Detail, paint: Paint) -> String {
    let source =
        format!("  environment {}, recipe {}, from {}", plan.environment, plan.recipe, clean(&plan.release.origin));
    let mut lines =
        vec![format!("{} by {}", paint.bold(plan.headline(paint)), plan.strategy), paint.dim(source), String::new()];
    let mut table = Table::default();
    for wave in &plan.waves {
        table.row([
            (Tone::Bold, clean(&wave.name)),
            (Tone::Plain, hosts(wave)),
            (Tone::Plain, wave.limits()),
            (Tone::Dim, ways(wave, paint)),
        ]);
    }
    lines.extend(table.lines("  ", paint));
    if detail == Detail::Steps {
        lines.extend(steps(plan, paint));
    }
    lines.push(String::new());
    lines.extend(left_out(plan, observed, paint));
    lines.push(format!("  {}  {}", paint.bold("worst case"), worst_case(plan)));
    lines.join("\n") + "\n"
}

impl Plan {
    /// `OLD → NEW on 8 hosts`, and that it is a rollback. Where every host runs the release and only the rest is to be done, that.
    #[must_use]
    pub fn headline(&self, paint: Paint) -> String {
        let old = match &self.replaces[..] {
            [] => "nothing".to_owned(),
            all if all.len() <= NAMED => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            all => format!("{} releases", all.len()),
        };
        let count = match self.switched().len() {
            0 => {
                let verb = if self.verb == Verb::Rollback { "rollback: " } else { "" };
                return format!("{verb}no host to switch to {}", self.release.id);
            }
            1 => "1 host".to_owned(),
            count => format!("{count} hosts"),
        };
        let verb = if self.verb == Verb::Rollback { "rollback " } else { "" };
        format!("{verb}{old} {} {} on {count}", paint.sign(Sign::Arrow), self.release.id)
    }

    /// The hosts whose release changes.
    #[must_use]
    pub fn switched(&self) -> BTreeSet<&HostName> {
        self.lanes_of(Phase::Switch).map(|lane| &lane.host).collect()
    }

    /// The lanes of all waves of the phase.
    pub fn lanes_of(&self, phase: Phase) -> impl Iterator<Item = &Lane> {
        self.waves.iter().filter(move |wave| wave.phase == phase).flat_map(|wave| &wave.lanes)
    }

    /// The fewest hosts of the fleet that serve at any time; `None` if no host leaves service.
    #[must_use]
    pub fn floor(&self) -> Option<usize> {
        self.waves.iter().filter_map(|wave| wave.min_serving).max()
    }
}

impl Lane {
    /// Whether its host serves before, so that somebody would miss it. One that does not is drained all the same, and put
    /// back without a wait for it.
    #[must_use]
    fn leaves_service(&self) -> bool {
        self.takes_host_out()
            && !self.steps.iter().any(|step| step.undo.contains(&Action::Enable { until: Until::Ready }))
    }
}

impl Wave {
    /// `2 at once, floor 6`, and the watch that follows.
    #[must_use]
    pub fn limits(&self) -> String {
        let mut words = match self.max_in_flight.min(self.lanes.len()) {
            _ if self.lanes.len() == 1 => String::new(),
            all if all == self.lanes.len() => "all at once".to_owned(),
            some => format!("{some} at once"),
        };
        let mut add = |part: String| {
            words.push_str(if words.is_empty() { "" } else { ", " });
            words.push_str(&part);
        };
        if let Some(floor) = self.min_serving {
            add(format!("floor {floor}"));
        }
        if let Gate::Bake(duration) = self.gate {
            add(format!("then watched for {}", friendly(duration)));
        }
        if self.phase == Phase::Failed {
            add("only after a failure".to_owned());
        }
        words
    }
}

fn hosts(wave: &Wave) -> String {
    let names = ranges(wave.lanes.iter().map(|lane| &lane.host));
    match wave.lanes.len() {
        0 | 1 => names,
        count if names.chars().count() <= 40 => format!("{names} ({count})"),
        count => {
            let (first, last) = (&wave.lanes[0].host, &wave.lanes[count - 1].host);
            format!("{first} ... {last} ({count})")
        }
    }
}

/// The verbs of the wave's lanes; those of the first, and a hint, where they differ.
fn ways(wave: &Wave, paint: Paint) -> String {
    let arrow = format!(" {} ", paint.sign(Sign::Arrow));
    let verb = |step: &Step| match &step.action {
        Action::Task { .. } => step.action.to_string(),
        other => other.verb().to_owned(),
    };
    let way = |lane: &Lane| {
        let verbs: Vec<String> = lane.steps.iter().map(verb).collect();
        match each_instance(lane) {
            Some(length) => {
                let turns = lane.steps.iter().filter(|step| matches!(step.action, Action::Activate { .. })).count();
                let (each, rest) = (verbs[..length].join(&arrow), verbs[length * turns..].join(&arrow));
                format!("for each instance: {each}; then {rest}")
            }
            None => verbs.join(&arrow),
        }
    };
    let mut ways: Vec<String> = Vec::new();
    for lane in wave.lanes.iter().map(way) {
        if !ways.contains(&lane) {
            ways.push(lane);
        }
    }
    match &ways[..] {
        [] => String::new(),
        [way] => way.clone(),
        [way, _] => format!("{way} (elsewhere otherwise; -v shows it)"),
        [way, rest @ ..] => format!("{way} (elsewhere otherwise, {} ways; -v shows them)", rest.len()),
    }
}

/// The number of steps that a lane goes through again and again, once for each instance, if that is how it begins.
fn each_instance(lane: &Lane) -> Option<usize> {
    let starts = |step: &Step| matches!(step.action, Action::Route { .. });
    let routes: Vec<usize> = (0..lane.steps.len()).filter(|at| starts(&lane.steps[*at])).collect();
    let (last, turns) = (*routes.last()?, routes.len() - 1);
    let length = *routes.get(1)?;
    let verbs = |from: usize| lane.steps[from..from + length].iter().map(|step| step.action.verb()).collect::<Vec<_>>();
    let alike = last == length * turns && (1..turns).all(|turn| verbs(turn * length) == verbs(0));
    (routes[0] == 0 && turns > 1 && alike).then_some(length)
}

/// Each different sequence of steps once, with the waves and hosts that go through it.
fn steps(plan: &Plan, paint: Paint) -> Vec<String> {
    let mut kinds: Vec<(Vec<&str>, BTreeSet<&HostName>, Vec<Row>)> = Vec::new();
    for wave in &plan.waves {
        for lane in &wave.lanes {
            let rows: Vec<_> = lane.steps.iter().map(row).collect();
            match kinds.iter_mut().find(|(.., known)| *known == rows) {
                Some((waves, hosts, _)) => {
                    hosts.insert(&lane.host);
                    if !waves.contains(&wave.name.as_str()) {
                        waves.push(&wave.name);
                    }
                }
                None => kinds.push((vec![&wave.name], [&lane.host].into(), rows)),
            }
        }
    }
    let mut lines = Vec::new();
    for (waves, hosts, rows) in kinds {
        let names = paint.bold(clean(&waves.join(", ")));
        lines.extend([String::new(), format!("  {names} on {}", ranges(hosts))]);
        let mut table = Table::default();
        for row in rows {
            table.row(row);
        }
        lines.extend(table.lines("    ", paint));
    }
    lines
}

type Row = [(Tone, String); 3];

fn row(step: &Step) -> Row {
    let undo = step.undo.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let undo = if undo.is_empty() { String::new() } else { format!("undo: {undo}") };
    let timeout = match step.action {
        Action::Meet => "as long as the others take".to_owned(),
        _ => format!("at most {}", friendly(step.timeout)),
    };
    [(Tone::Plain, step.action.to_string()), (Tone::Dim, timeout), (Tone::Dim, undo)]
}

/// The hosts of the fleet that the plan does not change, by reason.
fn left_out(plan: &Plan, observed: Option<&Observation>, paint: Paint) -> Vec<String> {
    let switched = plan.switched();
    let mut reasons: Vec<(String, Vec<&HostName>)> = Vec::new();
    for host in plan.fleet.iter().filter(|host| !switched.contains(host)) {
        let reason = match observed.and_then(|observed| observed.hosts.get(host)) {
            Some(facts) => match &facts.reach {
                Reach::Unreachable(why) => format!("not reachable: {}", clean(why)),
                Reach::Reached if facts.running() == Some(&plan.release.id) => {
                    format!("runs {} already", plan.release.id)
                }
                Reach::Reached => "not picked".to_owned(),
            },
            None => "not picked".to_owned(),
        };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, hosts)) => hosts.push(host),
            None => reasons.push((reason, vec![host])),
        }
    }
    let mut table = Table::default();
    for (reason, hosts) in reasons {
        table.row([(Tone::Wait, "left out  ".to_owned()), (Tone::Plain, ranges(hosts)), (Tone::Dim, reason)]);
    }
    table.lines("  ", paint)
}

fn worst_case(plan: &Plan) -> String {
    let leaving = plan.waves.iter().filter(|wave| wave.phase == Phase::Switch && wave.min_serving.is_some());
    let out =
        leaving.map(|wave| wave.max_in_flight.min(wave.lanes.iter().filter(|lane| lane.leaves_service()).count()));
    let out = out.max().filter(|out| *out > 0);
    let stop = match plan.max_failures {
        0 => "the first failure stops".to_owned(),
        1 => "1 host may fail, the second failure stops".to_owned(),
        count => format!("{count} hosts may fail, the next failure stops"),
    };
    match (out, plan.floor()) {
        (Some(out), Some(floor)) => format!("{out} of {} out at once, floor {floor}; {stop}", plan.fleet.len()),
        _ => format!("no host leaves service; {stop}"),
    }
}
