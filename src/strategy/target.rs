//! Where a rollback goes: which release is left, and which one the hosts have to go back to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Host, HostFacts, HostName, Observation, ReleaseId, Run, Verb};

/// Why there is nothing to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoTarget {
    /// What each host could go back to by itself; hosts that are not here have nothing.
    pub each: BTreeMap<HostName, ReleaseId>,
}

/// The release that a rollback of `picked` goes away from; `last` is the newest run on them.
///
/// That of a run that did not end well, whatever runs by now: going back undoes that run. If it was a rollback, what that went
/// away from. Else what runs and was never confirmed; else the newest that runs.
#[must_use]
pub fn leaving(observed: &Observation, picked: &[&Host], last: Option<&Run>) -> BTreeSet<ReleaseId> {
    if let Some((run, release)) =
        last.filter(|run| !run.is_done()).and_then(|run| Some((run, &run.release.as_ref()?.id)))
    {
        return match run.verb {
            Verb::Deploy => [release.clone()].into(),
            Verb::Rollback => run.hosts.values().flatten().filter(|id| *id != release).cloned().collect(),
        };
    }
    let running: BTreeSet<&ReleaseId> = facts(observed, picked).flat_map(|(_, facts)| live(facts)).collect();
    let confirmed = |id: &ReleaseId| facts(observed, picked).any(|(_, facts)| facts.confirmed.contains(id));
    let fresh: BTreeSet<ReleaseId> = running.iter().copied().filter(|id| !confirmed(id)).cloned().collect();
    if fresh.is_empty() { running.last().copied().cloned().into_iter().collect() } else { fresh }
}

/// The release that was confirmed last on `picked` and is there on all of them, besides those that are `left` or bad.
pub fn target(observed: &Observation, picked: &[&Host], left: &BTreeSet<ReleaseId>) -> Result<ReleaseId, NoTarget> {
    let all: Vec<(&HostName, &HostFacts)> = facts(observed, picked).collect();
    let bad: BTreeSet<&ReleaseId> = all.iter().flat_map(|(_, facts)| &facts.bad).map(|bad| &bad.id).collect();
    let wanted = |id: &&ReleaseId| !left.contains(*id) && !bad.contains(id);
    let has = |facts: &HostFacts, id: &ReleaseId| facts.releases.iter().any(|release| release.id == *id);
    // How many others were confirmed after each. That of the host where it is the least counts: one that missed a deploy does not
    // make what it has older.
    let mut ages: BTreeMap<&ReleaseId, usize> = BTreeMap::new();
    for (_, facts) in &all {
        let mut seen = BTreeSet::new();
        let own = facts.confirmed.iter().rev().filter(wanted).filter(|id| seen.insert(*id));
        for (age, id) in own.enumerate() {
            ages.entry(id).and_modify(|least| *least = age.min(*least)).or_insert(age);
        }
    }
    let common = ages.into_iter().filter(|(id, _)| all.iter().all(|(_, facts)| has(facts, id)));
    // Of two that are as young, the newer one.
    if let Some((id, _)) = common.min_by_key(|(id, age)| (*age, Reverse(*id))) {
        return Ok(id.clone());
    }
    let own = |facts: &HostFacts| facts.confirmed.iter().rev().filter(wanted).find(|id| has(facts, id)).cloned();
    Err(NoTarget { each: all.iter().filter_map(|(host, facts)| Some(((*host).clone(), own(facts)?))).collect() })
}

/// What runs on a host, or is about to.
fn live(facts: &HostFacts) -> impl Iterator<Item = &ReleaseId> {
    facts.instances.iter().filter_map(|one| one.running.as_ref()).chain(&facts.current)
}

fn facts<'a>(observed: &'a Observation, picked: &'a [&'a Host]) -> impl Iterator<Item = (&'a HostName, &'a HostFacts)> {
    picked.iter().filter_map(|host| Some((&host.name, observed.hosts.get(&host.name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BadRelease, Release};

    fn id(day: u8) -> ReleaseId {
        format!("202611{day:02}-000000-00000000").parse().unwrap()
    }

    /// A host by the days of its releases: what it has, what was confirmed, what it runs.
    fn host(there: &[u8], confirmed: &[u8], current: u8) -> HostFacts {
        let release =
            |day: &u8| Release { id: id(*day), fingerprint: "0".repeat(40).parse().unwrap(), origin: String::new() };
        HostFacts {
            releases: there.iter().map(release).collect(),
            confirmed: confirmed.iter().map(|day| id(*day)).collect(),
            current: Some(id(current)),
            ..HostFacts::default()
        }
    }

    /// Where hosts of these facts go back to, in days; those that they leave are taken from what they run.
    fn back(facts: &[HostFacts], last: Option<&Run>) -> Result<ReleaseId, usize> {
        let hosts: Vec<Host> = (1..=facts.len())
            .map(|number| Host {
                name: format!("web{number}").parse().unwrap(),
                address: "10.0.0.1".parse().unwrap(),
                roles: BTreeSet::new(),
                labels: BTreeMap::new(),
            })
            .collect();
        let hosts: Vec<&Host> = hosts.iter().collect();
        let seen = hosts.iter().zip(facts).map(|(host, facts)| (host.name.clone(), facts.clone()));
        let observed = Observation { hosts: seen.collect(), balancers: vec![] };
        let left = leaving(&observed, &hosts, last);
        target(&observed, &hosts, &left).map_err(|none| none.each.len())
    }

    #[test]
    fn the_last_confirmed_release_that_is_not_left() {
        for (facts, wanted) in [
            // What runs is confirmed: the one before.
            (vec![host(&[1, 2], &[1, 2], 2); 2], Ok(id(1))),
            // What runs is not: the last one that is.
            (vec![host(&[1, 2, 3], &[1, 2], 3); 2], Ok(id(2))),
            // Half of the hosts were reached.
            (vec![host(&[1, 2, 3], &[1, 2], 3), host(&[1, 2, 3], &[1, 2], 2)], Ok(id(2))),
            // After a deploy of an old one, the newer one is what was before.
            (vec![host(&[1, 2], &[1, 2, 1], 1)], Ok(id(2))),
            // One host missed a deploy; it lacks nothing.
            (vec![host(&[1, 2, 3], &[1, 2, 3], 3), host(&[1, 2, 3], &[1, 3], 3)], Ok(id(2))),
            // One was pruned on one host.
            (vec![host(&[1, 2, 3], &[1, 2, 3], 3), host(&[1, 3], &[1, 2, 3], 3)], Ok(id(1))),
            // Nothing in common: each could go back by itself.
            (vec![host(&[1, 3], &[1, 3], 3), host(&[2, 3], &[2, 3], 3)], Err(2)),
            // The first release ever.
            (vec![host(&[1], &[1], 1)], Err(0)),
        ] {
            assert_eq!(back(&facts, None), wanted, "{facts:?}");
        }
    }

    #[test]
    fn a_bad_release_is_no_way_back() {
        let mut facts = host(&[1, 2, 3], &[1, 2, 3, 2], 2);
        facts.bad.push(BadRelease {
            id: id(3),
            fingerprint: "0".repeat(40).parse().unwrap(),
            time: String::new(),
            who: String::new(),
        });
        assert_eq!(back(&[facts], None), Ok(id(1)));
    }

    #[test]
    fn what_a_failed_run_was_about_is_left_even_if_nothing_runs_it() {
        let run = Run {
            id: "20261121T021710Z-1a2b3c4d".parse().unwrap(),
            time: String::new(),
            who: None,
            verb: Verb::Deploy,
            strategy: None,
            options: None,
            release: Some(host(&[3], &[], 3).releases[0].clone()),
            resumes: None,
            outcome: None,
            hosts: BTreeMap::new(),
            records: vec![],
        };
        // It was put back, or never got far: what runs was confirmed and is where the fleet should be.
        assert_eq!(back(&[host(&[1, 2, 3], &[1, 2], 2)], Some(&run)), Ok(id(2)));
        let done = Run { outcome: Some("done".to_owned()), ..run };
        assert_eq!(back(&[host(&[1, 2, 3], &[1, 2], 2)], Some(&done)), Ok(id(1)));
    }
}
