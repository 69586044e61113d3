//! The memory that a second set of instances takes beside the first, before it is booted.

use crate::model::{Host, HostFacts, HostName, Observation, Problem, ReleaseId};

/// What a host needs for it, and what it has, in kB.
struct Room {
    needed: u64,
    free: u64,
}

impl Room {
    /// As far as it was seen. What the idle set still has makes place for what is booted in it.
    fn on(facts: &HostFacts) -> Option<Self> {
        let of = |instances: &[crate::model::InstanceFacts]| instances.iter().filter_map(|one| one.memory).sum::<u64>();
        let needed = of(&facts.instances);
        let free = facts.free_memory? + of(&facts.idle);
        (needed > 0).then_some(Self { needed, free })
    }

    fn words(&self) -> String {
        let mb = |kb: u64| kb.div_ceil(1024);
        format!(
            "booting the release beside the old one takes about {} MB, and {} MB are free",
            mb(self.needed),
            mb(self.free)
        )
    }
}

/// Adds to what was `observed` a problem where a host clearly lacks the memory to boot `release` beside the old one, and a note on the
/// host that has the least to spare.
pub fn check_memory(observed: &mut Observation, picked: &[&Host], release: Option<&ReleaseId>) {
    let mut tightest: Option<(u64, HostName, Room)> = None;
    for host in picked {
        let Some(facts) = observed.hosts.get_mut(&host.name) else { continue };
        let is_warm = |one: &crate::model::InstanceFacts| one.running.is_some() && one.running.as_ref() == release;
        let boots = facts.idle.is_empty() || !facts.idle.iter().all(is_warm);
        let Some(room) = Room::on(facts).filter(|_| boots) else { continue };
        if room.needed > room.free {
            facts
                .problems
                .push(Problem::new(room.words(), "free some, or choose `--strategy hotswap`, which takes none"));
        }
        let spare = room.free.saturating_sub(room.needed);
        if tightest.as_ref().is_none_or(|(least, ..)| spare < *least) {
            tightest = Some((spare, host.name.clone(), room));
        }
    }
    let Some((_, host, room)) = tightest else { return };
    if let Some(facts) = observed.hosts.get_mut(&host) {
        let least = if picked.len() > 1 { "; no host has less to spare" } else { "" };
        facts.notes.push(Problem { what: format!("{}{least}", room.words()), help: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Instance, InstanceFacts};

    /// A host that lives on 40 MB, with so much free, and so much in its idle set.
    fn host(free: u64, idle: u64) -> HostFacts {
        let one = |port, kb| InstanceFacts { instance: Instance(port), running: None, healthy: true, memory: Some(kb) };
        HostFacts {
            instances: vec![one(4040, 20 << 10), one(4041, 20 << 10)],
            idle: vec![one(5040, idle << 10)],
            free_memory: Some(free << 10),
            ..HostFacts::default()
        }
    }

    #[test]
    fn only_a_host_without_the_memory_is_in_the_way_and_what_is_idle_makes_place() {
        let names = ["web1", "web2", "web3"].map(|name| name.parse::<HostName>().unwrap());
        let facts = [host(4096, 0), host(30, 0), host(30, 20)];
        let mut observed = Observation { hosts: names.iter().cloned().zip(facts).collect(), ..Observation::default() };
        let hosts = names.map(|name| Host {
            address: name.as_str().parse().unwrap(),
            name,
            roles: std::collections::BTreeSet::default(),
            labels: std::collections::BTreeMap::default(),
        });
        check_memory(&mut observed, &hosts.iter().collect::<Vec<_>>(), None);
        let said = |of: fn(&HostFacts) -> &Vec<Problem>| {
            observed.hosts.values().flat_map(|facts| of(facts).iter().map(|one| one.what.clone())).collect::<Vec<_>>()
        };
        let words = "booting the release beside the old one takes about 40 MB, and 30 MB are free";
        assert_eq!(said(|facts| &facts.problems), [words]);
        assert_eq!(said(|facts| &facts.notes), [format!("{words}; no host has less to spare")]);
    }
}
