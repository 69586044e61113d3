//! How a run ended, judged once, from the final state.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Failure, LaneEnd, Scheduler};
use crate::model::{HostName, ReleaseId};
use crate::plan::{Phase, Plan};

/// The final state in one word; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Every host's running process is of the release.
    Done,
    /// It failed, no host runs the release, and all that served before serve.
    RolledBack,
    /// It stopped with hosts on both releases; all that served before serve.
    Mixed,
    /// A host does not serve, or it is not known what it does.
    NeedsPerson,
    /// It was cancelled and has left nothing half done.
    Cancelled,
}

/// Where the run leaves one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostEnd {
    /// What its processes run, as far as they agree and could be asked.
    pub release: Option<ReleaseId>,
    /// Whether it takes traffic on every balancer that serves it.
    pub serving: bool,
    /// What the run did there, in a few words.
    pub note: String,
    /// Whether a person must look.
    pub trouble: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// In one word.
    pub end: End,
    /// Each host of the fleet.
    pub hosts: BTreeMap<HostName, HostEnd>,
    /// What failed: the host, the step's words, and why; worst first.
    pub failures: Vec<(HostName, String, Failure)>,
    /// Words about the run as a whole.
    pub notes: Vec<String>,
}

/// What the fleet looked like before and after, as far as an outcome needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// The hosts that served before.
    pub served: BTreeSet<HostName>,
    /// The hosts that serve now.
    pub serving: BTreeSet<HostName>,
    /// What each host's processes run now; a host that is not here could not be asked.
    pub running: BTreeMap<HostName, Option<ReleaseId>>,
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
                    LaneEnd::Done | LaneEnd::Untouched => String::new(),
                };
                (lane.host.clone(), wave.phase, end, verb)
            })
            .collect();
        let states: BTreeMap<HostName, HostEnd> =
            hosts.iter().map(|host| (host.clone(), host_end(host, plan, &ends, after))).collect();
        let mut failures = Vec::new();
        for (host, phase, end, verb) in &ends {
            match end {
                LaneEnd::Broken { failure, undo, trouble, .. } => {
                    failures.push((0, host, format!("undo: {undo}"), trouble.clone()));
                    failures.push((1, host, verb.clone(), failure.clone()));
                }
                LaneEnd::Restored { failure, .. } => {
                    failures.push((if *phase == Phase::Failed { 3 } else { 2 }, host, verb.clone(), failure.clone()));
                }
                LaneEnd::Done | LaneEnd::Untouched => {}
            }
        }
        failures.sort_by_key(|(rank, ..)| *rank);
        let failed = !failures.is_empty() || scheduler.reason().is_some();
        Self {
            end: end(plan, scheduler.cancelled(), failed, &states),
            hosts: states,
            failures: failures.into_iter().map(|(_, host, verb, failure)| (host.clone(), verb, failure)).collect(),
            notes: scheduler.reason().map(str::to_owned).into_iter().collect(),
        }
    }
}

/// The code is chosen here, once, from where the hosts are and not from how they got there.
fn end(plan: &Plan, cancelled: bool, failed: bool, hosts: &BTreeMap<HostName, HostEnd>) -> End {
    let released = hosts.values().filter(|host| host.release.as_ref() == Some(&plan.release.id)).count();
    if hosts.values().any(|host| host.trouble) {
        End::NeedsPerson
    } else if released == hosts.len() {
        // All of them run it, yet something after that failed: only a person knows whether that matters.
        if failed { End::NeedsPerson } else { End::Done }
    } else if cancelled {
        End::Cancelled
    } else if released == 0 {
        End::RolledBack
    } else {
        End::Mixed
    }
}

fn host_end(host: &HostName, plan: &Plan, ends: &[(HostName, Phase, LaneEnd, String)], after: &Aftermath) -> HostEnd {
    let mine = || ends.iter().filter(|(name, ..)| name == host);
    let switched = mine().filter(|(_, phase, ..)| *phase == Phase::Switch).map(|(_, _, end, _)| end).next();
    let broken = mine().any(|(_, _, end, _)| matches!(end, LaneEnd::Broken { .. }));
    let serving = after.serving.contains(host);
    let lost = !after.running.contains_key(host);
    let release = after.running.get(host).cloned().flatten();
    let note = match switched {
        _ if lost => "could not be asked",
        Some(LaneEnd::Done) if release.as_ref() == Some(&plan.release.id) => "released",
        Some(LaneEnd::Done) => "changed since it was released",
        Some(LaneEnd::Restored { .. }) => "put back",
        Some(LaneEnd::Broken { .. }) => "could not be put back",
        Some(LaneEnd::Untouched) => "not touched",
        None if release.as_ref() == Some(&plan.release.id) => "ran it before",
        None => "not touched",
    };
    HostEnd {
        release,
        serving,
        note: note.to_owned(),
        trouble: broken || lost || (after.served.contains(host) && !serving),
    }
}
