//! The steps that strategies are made of, each with its undo and its time limit.

use std::time::Duration;

use super::PlanInput;
use crate::model::{Host, Instance, Release, ReleaseId, Until};
use crate::plan::{Action, Step};

/// What a call to a host or a balancer may take beyond the wait that is its purpose: a slow login shell, a busy machine,
/// one reconnect of a broken line.
const SLACK: Duration = Duration::from_secs(30);

/// Unpacking, linking and, for git, fetching. The first mirror of a large repository takes minutes.
const STAGE: Duration = Duration::from_mins(15);

/// An archive at the speed of a bad line: 1 GB at 10 Mb/s.
const UPLOAD: Duration = Duration::from_mins(15);

/// How long balancers may take to see a healthy server: their check interval times its `rise`, generously.
const ADMIT: Duration = Duration::from_mins(1);

/// Sends the archive to the host.
pub(super) fn upload(release: &Release) -> Step {
    Step { action: Action::Upload { release: release.clone() }, undo: vec![], timeout: UPLOAD }
}

/// Makes the release's directory. A half-made one is swept by the next deploy, so there is nothing to undo.
pub(super) fn stage(release: &Release) -> Step {
    Step { action: Action::Stage { release: release.clone() }, undo: vec![], timeout: STAGE }
}

/// Takes the host, which `served` or not, out of its balancers; its undo puts it back as it was.
pub(super) fn drain(input: &PlanInput<'_>, served: bool) -> Step {
    let until = if served { Until::Up } else { Until::Ready };
    Step {
        action: Action::Drain,
        undo: vec![Action::Enable { until }],
        // Twice: a reload of the balancer in between begins the wait anew.
        timeout: input.recipe.drain.timeout * 2 + SLACK,
    }
}

/// Lets the local nginx send traffic to `to` alone; its undo is `before`.
pub(super) fn route(input: &PlanInput<'_>, to: &[Instance], before: &[Instance]) -> Step {
    Step {
        action: Action::Route { to: to.to_vec() },
        undo: vec![Action::Route { to: before.to_vec() }],
        timeout: input.recipe.drain.timeout + SLACK,
    }
}

/// Lets the local nginx send traffic to `to` alone, in one move away from `before`, which is what its undo goes back to.
pub(super) fn flip(input: &PlanInput<'_>, to: &[Instance], before: &[Instance]) -> Step {
    // Most of that is for another run which may hold the routing.
    let timeout = input.recipe.drain.timeout + SLACK;
    let flip = |to: &[Instance]| Action::Flip { to: to.to_vec() };
    Step { action: flip(to), undo: vec![flip(before)], timeout }
}

/// Waits for the other hosts.
pub(super) fn meet() -> Step {
    Step { action: Action::Meet, undo: vec![], timeout: Duration::ZERO }
}

/// Waits for what an earlier release still serves in `instances`.
pub(super) fn clear(input: &PlanInput<'_>, instances: &[Instance]) -> Step {
    let action = Action::Clear { instances: instances.to_vec() };
    Step { action, undo: vec![], timeout: input.recipe.drain.timeout + SLACK }
}

/// Boots the release in `instances`, which get no traffic; its undo lets `current` be what it was, and stops them.
pub(super) fn boot(input: &PlanInput<'_>, host: &Host, instances: &[Instance]) -> Step {
    let before = input.facts(&host.name).current.clone();
    let back = Action::Activate { release: before, instances: vec![] };
    let stop = Action::Stop { instances: instances.to_vec(), after: Duration::ZERO };
    Step { undo: vec![back, stop], ..activate(input, host, instances) }
}

/// Ends what runs in the other set than `live`: after a flip the old release, some time later; after any other deploy whatever a
/// preboot left there, at once, since it is not what one would go back to.
pub(super) fn retire(input: &PlanInput<'_>, host: &Host, live: &[Instance]) -> Option<Step> {
    let preboot = input.recipe.preboot.as_ref()?;
    let facts = input.facts(&host.name);
    let flipped = live != input.recipe.live(facts);
    let left = facts.idle.iter().any(|one| one.healthy || one.running.is_some());
    if !flipped && !left {
        return None;
    }
    let instances = if flipped { input.recipe.live(facts) } else { input.recipe.idle(facts) };
    let after = if flipped { preboot.keep_warm } else { Duration::ZERO };
    let count = u32::try_from(instances.len()).unwrap_or(u32::MAX);
    Some(Step {
        action: Action::Stop { instances: instances.to_vec(), after },
        undo: vec![],
        timeout: input.recipe.drain.timeout + input.recipe.app.restart_timeout.saturating_mul(count) + SLACK,
    })
}

/// Switches `current` and restarts the instances; its undo brings the release that `current` named back to life.
pub(super) fn activate(input: &PlanInput<'_>, host: &Host, instances: &[Instance]) -> Step {
    let instances = instances.to_vec();
    let before = input.facts(&host.name).current.clone();
    let mut undo = vec![Action::Activate { release: before.clone(), instances: instances.clone() }];
    // What no deploy of ours made is to answer as well before it gets traffic again, if it did before.
    if before.is_some() || input.facts(&host.name).instances.iter().any(|one| one.healthy) {
        undo.push(Action::Health { release: before.clone(), instances: instances.clone() });
    }
    undo.extend(before.and_then(|release| warm_action(input, &release, &instances)));
    let count = u32::try_from(instances.len()).unwrap_or(u32::MAX);
    Step {
        action: Action::Activate { release: Some(input.release.id.clone()), instances },
        undo,
        timeout: input.recipe.app.restart_timeout.saturating_mul(count) + SLACK,
    }
}

/// Brings the release to life in `instances`: restarted, healthy, warm.
pub(super) fn renew(input: &PlanInput<'_>, host: &Host, instances: &[Instance]) -> impl Iterator<Item = Step> + use<> {
    let steps = [
        Some(activate(input, host, instances)),
        Some(health(input, &input.release.id, instances)),
        warm(input, instances),
    ];
    steps.into_iter().flatten()
}

/// Waits until the instances are healthy and of the release.
pub(super) fn health(input: &PlanInput<'_>, release: &ReleaseId, instances: &[Instance]) -> Step {
    let health = &input.recipe.health;
    Step {
        action: Action::Health { release: Some(release.clone()), instances: instances.to_vec() },
        undo: vec![],
        timeout: health.deadline + health.timeout + SLACK,
    }
}

/// Warms the instances, if the recipe says how.
pub(super) fn warm(input: &PlanInput<'_>, instances: &[Instance]) -> Option<Step> {
    let warm = &input.recipe.warm;
    let requests = warm.requests.saturating_mul(u32::try_from(warm.urls.len()).unwrap_or(u32::MAX));
    warm_action(input, &input.release.id, instances).map(|action| Step {
        action,
        undo: vec![],
        timeout: warm.timeout.saturating_mul(requests) + SLACK,
    })
}

fn warm_action(input: &PlanInput<'_>, release: &ReleaseId, instances: &[Instance]) -> Option<Action> {
    let action = || Action::Warm { release: release.clone(), instances: instances.to_vec() };
    (!input.recipe.warm.urls.is_empty()).then(action)
}

/// Gives the host traffic; its undo takes it out again, before anything else is undone.
pub(super) fn enable() -> Step {
    Step { action: Action::Enable { until: Until::Up }, undo: vec![Action::Drain], timeout: ADMIT + SLACK }
}

/// Watches what the balancers count for the host.
pub(super) fn watch(input: &PlanInput<'_>) -> Step {
    Step { action: Action::Watch, undo: vec![], timeout: input.recipe.watch.duration + SLACK }
}

/// Reads back, marks as confirmed, prunes.
pub(super) fn confirm(input: &PlanInput<'_>, replaces: Vec<ReleaseId>, instances: Vec<Instance>) -> Step {
    let (release, keep) = (input.release.clone(), input.recipe.release.keep);
    let action = Action::Confirm { release, keep, replaces, instances };
    // Removing old releases of many files is slow on a cold disk.
    Step { action, undo: vec![], timeout: STAGE }
}
