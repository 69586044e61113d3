//! What every deploy has around its strategy: staging and tasks before, tasks and tidying after.

use std::collections::BTreeSet;

use super::{Limits, PlanError, PlanInput, steps};
use crate::model::{Host, HostFacts, Instance, Moment, Release, ReleaseId, Source, Task, Verb};
use crate::plan::{Action, Gate, Lane, OnFailure, Phase, Plan, Step, Wave};

/// How many hosts fetch, unpack or tidy at once. The way to the hosts has its own limits; this one is for what
/// is behind it: a git server, an artifact store.
const STAGING_AT_ONCE: usize = 50;

/// The whole plan, around the waves of the strategy.
pub(super) fn plan(
    input: &PlanInput<'_>,
    limits: &Limits,
    picked: &[&Host],
    current: &[&Host],
    switch: Vec<Wave>,
) -> Result<Plan, PlanError> {
    let before = picked.iter().filter_map(|host| input.facts(&host.name).current.as_ref());
    let replaces: BTreeSet<&ReleaseId> = before.filter(|id| **id != input.release.id).collect();
    let replaces: Vec<ReleaseId> = replaces.into_iter().cloned().collect();
    let mut waves = Vec::new();
    if current.len() < picked.len() {
        waves.extend(tasks(input, picked, Moment::Started));
        waves.extend(stage(input, picked)?);
        waves.extend(tasks(input, picked, Moment::Updated));
        let confirm = confirm(input, picked, &replaces, &switch);
        waves.extend(switch);
        waves.extend(tasks(input, picked, Moment::Published));
        waves.push(confirm);
        waves.extend(tasks(input, picked, Moment::Finished));
        waves.extend(tasks(input, picked, Moment::Failed));
    } else if picked.iter().any(|host| input.facts(&host.name).confirmed.last() != Some(&input.release.id)) {
        // Cut off just before that; a rollback would take the release for one that never worked.
        waves.push(confirm(input, picked, &replaces, &[]));
    }
    Ok(Plan {
        verb: input.options.verb,
        skipped: input.options.skipped.clone(),
        environment: input.inventory.environment.clone(),
        recipe: input.recipe.name.clone(),
        strategy: input.options.strategy,
        release: input.release.clone(),
        replaces,
        fleet: input.inventory.with_role(&input.recipe.app.role).map(|host| host.name.clone()).collect(),
        max_failures: limits.max_failures,
        waves,
    })
}

/// Puts the release on every host that does not have it.
fn stage(input: &PlanInput<'_>, picked: &[&Host]) -> Result<Option<Wave>, PlanError> {
    let has_it = |host: &&&Host| input.facts(&host.name).releases.iter().any(|one| one.id == input.release.id);
    let (there, missing): (Vec<&Host>, Vec<&Host>) = picked.iter().partition(has_it);
    // A rollback needs nothing but the hosts.
    let may_get = input.options.verb == Verb::Deploy;
    let gets = |host: &&Host| may_get && can_get(&input.recipe.release.source, input.facts(&host.name), input.release);
    if !there.is_empty() && !missing.iter().all(gets) {
        // Some hosts know the id, so it is an old release: the source may long be another one.
        let hosts = missing.iter().map(|host| host.name.to_string()).collect();
        return Err(PlanError::NotThere { release: input.release.id.clone(), hosts });
    }
    let sent = matches!(input.recipe.release.source, Source::Directory(_) | Source::Archive(_));
    let lane = |host: &&Host| {
        let upload = sent && !input.facts(&host.name).archive_cached;
        let upload = upload.then(|| steps::upload(input.release));
        Lane { host: host.name.clone(), steps: upload.into_iter().chain([steps::stage(input.release)]).collect() }
    };
    let lanes: Vec<Lane> = missing.iter().map(lane).collect();
    Ok((!lanes.is_empty()).then(|| wave("stage", Phase::Prepare, lanes)))
}

/// Whether a host of these `facts` can make a release that it has not: its content is known by its sum, so what is made is the
/// same as elsewhere.
#[must_use]
pub fn can_get(source: &Source, facts: &HostFacts, release: &Release) -> bool {
    match source {
        Source::Git { .. } => release.fingerprint.is_commit(),
        Source::Url { sha256, .. } => *sha256 == release.fingerprint,
        Source::Directory(_) | Source::Archive(_) => facts.archive_cached,
    }
}

/// Reads back and tidies on every host that the deploy is about.
fn confirm(input: &PlanInput<'_>, picked: &[&Host], replaces: &[ReleaseId], switch: &[Wave]) -> Wave {
    let lane = |host: &&Host| {
        let instances = live_after(input, host, switch);
        let rest = steps::retire(input, host, &instances);
        let confirm = steps::confirm(input, replaces.to_vec(), instances);
        Lane { host: host.name.clone(), steps: [confirm].into_iter().chain(rest).collect() }
    };
    wave("confirm", Phase::Finish, picked.iter().map(lane).collect())
}

/// The instances that `host` lives on after the waves of the strategy.
fn live_after(input: &PlanInput<'_>, host: &Host, switch: &[Wave]) -> Vec<Instance> {
    let lanes = switch.iter().flat_map(|wave| &wave.lanes).filter(|lane| lane.host == host.name);
    let flipped = lanes.flat_map(|lane| &lane.steps).find_map(|step| match &step.action {
        Action::Flip { to } => Some(to.clone()),
        _ => None,
    });
    flipped.unwrap_or_else(|| input.recipe.live(input.facts(&host.name)).to_vec())
}

/// A wave for each task at `moment`: tasks run one after another, each on all its hosts at once.
fn tasks<'a>(input: &'a PlanInput<'a>, picked: &'a [&'a Host], moment: Moment) -> impl Iterator<Item = Wave> + 'a {
    input.recipe.tasks_at(moment).filter_map(move |task| {
        let lanes = task_lanes(input, picked, task);
        let phase = if moment == Moment::Failed { Phase::Failed } else { Phase::Task };
        (!lanes.is_empty()).then(|| wave(&format!("task {}", task.name), phase, lanes))
    })
}

/// Where a task runs: on the picked hosts of its role, which may be another one than the app's; or on the first of them.
fn task_lanes(input: &PlanInput<'_>, picked: &[&Host], task: &Task) -> Vec<Lane> {
    let app = &input.recipe.app.role;
    let picked: BTreeSet<_> = picked.iter().map(|host| &host.name).collect();
    let hosts =
        input.inventory.with_role(&task.role).filter(|host| !host.roles.contains(app) || picked.contains(&host.name));
    let lane = |host: &Host| {
        let action = Action::Task { name: task.name.clone(), release: input.release.id.clone() };
        Lane { host: host.name.clone(), steps: vec![Step { action, undo: vec![], timeout: task.timeout }] }
    };
    hosts.take(if task.once { 1 } else { usize::MAX }).map(lane).collect()
}

fn wave(name: &str, phase: Phase, lanes: Vec<Lane>) -> Wave {
    Wave {
        name: name.to_owned(),
        phase,
        max_in_flight: STAGING_AT_ONCE,
        min_serving: None,
        gate: Gate::Open,
        on_failure: OnFailure::Keep,
        lanes,
    }
}
