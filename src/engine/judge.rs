//! Where a run leaves the fleet, judged by what is and not by what was done.

use std::collections::{BTreeMap, BTreeSet};

use super::{End, HostEnd, LaneEnd, Outcome, Scheduler};
use crate::model::{HostName, ReleaseId};
use crate::plan::{Phase, Plan};

/// So many times that something was cut off are told one by one; the log has them all.
const CUTS_TOLD: usize = 8;

/// What the fleet looked like before and after, as far as an outcome needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// The hosts that served before.
    pub served: BTreeSet<HostName>,
    /// The hosts that serve now.
    pub serving: BTreeSet<HostName>,
    /// What each host's processes run now; a host that is not here could not be asked.
    pub running: BTreeMap<HostName, Option<ReleaseId>>,
    /// Hosts on which only some of the processes are of the release.
    pub partly: BTreeSet<HostName>,
    /// Why not everything about who serves could be seen.
    pub unseen: Option<String>,
}

impl Outcome {
    /// Judges a run of `plan` on `hosts` by the fleet's final state.
    #[must_use]
    pub fn judge(plan: &Plan, scheduler: &Scheduler, hosts: &[HostName], after: &Aftermath) -> Self {
        let ends: Vec<(HostName, Phase, LaneEnd, String)> = scheduler
            .ends()
            .map(|(at, end)| {
                let wave = &plan.waves[at.wave];
                let lane = &wave.lanes[at.lane];
                let verb = match &end {
                    LaneEnd::Restored { step, .. } | LaneEnd::Broken { step, .. } => {
                        lane.steps[*step].action.to_string()
                    }
                    LaneEnd::Done | LaneEnd::TakenBack | LaneEnd::Untouched => String::new(),
                };
                (lane.host.clone(), wave.phase, end, verb)
            })
            .collect();
        let mut by_host: BTreeMap<&HostName, Vec<(Phase, &LaneEnd)>> = BTreeMap::new();
        for (host, phase, end, _) in &ends {
            by_host.entry(host).or_default().push((*phase, end));
        }
        let states: BTreeMap<HostName, HostEnd> =
            hosts.iter().map(|host| (host.clone(), host_end(host, plan, by_host.get(host), after))).collect();
        let mut failures = Vec::new();
        for (host, phase, end, verb) in &ends {
            match end {
                LaneEnd::Broken { failure, undo, trouble, .. } => {
                    failures.push((0, host, format!("undo ({undo})"), trouble.clone()));
                    failures.extend(failure.iter().map(|failure| (1, host, verb.clone(), failure.clone())));
                }
                LaneEnd::Restored { failure, .. } => {
                    failures.push((if *phase == Phase::Failed { 3 } else { 2 }, host, verb.clone(), failure.clone()));
                }
                // Nothing failed there, and whatever did is told of its own host.
                LaneEnd::Done | LaneEnd::TakenBack | LaneEnd::Untouched => {}
            }
        }
        failures.sort_by_key(|(rank, ..)| *rank);
        let failed = !failures.is_empty() || scheduler.reason().is_some();
        // A state that is not known whole is for a person to look at.
        let end = match &after.unseen {
            Some(_) => End::NeedsPerson,
            None => end(plan, scheduler.cancelled(), failed, finished(&ends), &states, &after.partly),
        };
        let unseen = after.unseen.as_ref().map(|why| format!("{why}; who serves is told without it"));
        Self {
            end,
            hosts: states,
            failures: failures.into_iter().map(|(_, host, verb, failure)| (host.clone(), verb, failure)).collect(),
            notes: scheduler.reason().map(str::to_owned).into_iter().chain(unseen).chain(cut_off(scheduler)).collect(),
        }
    }
}

/// What users lost because it took longer than it might.
fn cut_off(scheduler: &Scheduler) -> Option<String> {
    let all = &scheduler.cut_off;
    let told =
        all.iter().take(CUTS_TOLD).map(|(host, words)| format!("{host} ({words})")).collect::<Vec<_>>().join(", ");
    let more = all.len().saturating_sub(CUTS_TOLD);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    (!all.is_empty()).then(|| format!("cut off before their end: {told}{more}"))
}

/// Whether all was done that comes when the hosts have changed over.
fn finished(ends: &[(HostName, Phase, LaneEnd, String)]) -> bool {
    ends.iter().all(|(_, phase, end, _)| !matches!(phase, Phase::Task | Phase::Finish) || *end == LaneEnd::Done)
}

/// The code is chosen here, once, from where the hosts are and not from how they got there.
fn end(
    plan: &Plan,
    cancelled: bool,
    failed: bool,
    finished: bool,
    hosts: &BTreeMap<HostName, HostEnd>,
    partly: &BTreeSet<HostName>,
) -> End {
    let released = hosts.values().filter(|host| host.release.as_ref() == Some(&plan.release.id)).count();
    if hosts.values().any(|host| host.trouble) {
        End::NeedsPerson
    } else if released == hosts.len() {
        // All of them run it, yet something after that failed: only a person knows whether that matters.
        match (failed, finished) {
            (true, _) => End::NeedsPerson,
            // Nobody has confirmed it, so a later rollback would pass it over.
            (false, false) if cancelled => End::Cancelled,
            (false, _) => End::Done,
        }
    } else if cancelled {
        End::Cancelled
    } else if released == 0 && partly.is_empty() {
        End::RolledBack
    } else {
        End::Mixed
    }
}

fn host_end(host: &HostName, plan: &Plan, ends: Option<&Vec<(Phase, &LaneEnd)>>, after: &Aftermath) -> HostEnd {
    let mine = || ends.into_iter().flatten();
    let switched = mine().find(|(phase, _)| *phase == Phase::Switch).map(|(_, end)| *end);
    let lane = plan.lanes_of(Phase::Switch).find(|lane| lane.host == *host);
    let broken = mine().any(|(_, end)| matches!(end, LaneEnd::Broken { .. }));
    let serving = after.serving.contains(host);
    let skipped = plan.skipped.contains(host);
    let lost = !after.running.contains_key(host) && !skipped;
    let release = after.running.get(host).cloned().flatten();
    let is_on_it = release.as_ref() == Some(&plan.release.id);
    // It was released, nobody has put it back, and it does not run that: its app has crashed just now, or somebody was there.
    let changed = switched == Some(&LaneEnd::Done) && !is_on_it;
    let note = match switched {
        _ if skipped => "skipped: not reachable",
        _ if lost => "could not be asked",
        Some(LaneEnd::Done) if is_on_it => "released",
        Some(LaneEnd::Done) => "changed since it was released",
        Some(end) if is_on_it && lane.is_some_and(|lane| end.leaves_app(lane)) => "left running, nothing to go back to",
        Some(LaneEnd::TakenBack) => "put back with the others",
        Some(LaneEnd::Restored { .. }) => "put back",
        Some(LaneEnd::Broken { .. }) => "could not be put back",
        None if is_on_it => "ran it before",
        Some(LaneEnd::Untouched) | None => "not touched",
    };
    HostEnd {
        release,
        serving,
        note: note.to_owned(),
        trouble: broken || lost || changed || (after.served.contains(host) && !serving),
    }
}
