//! What stands in the way of a deploy, all of it, before anything is changed.

use std::collections::BTreeMap;

use crate::balancer;
use crate::model::{Host, HostName, Inventory, Observation, Problem, Reach};

/// Problems by host, in order of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// What was found, by the host that it was found on.
    pub problems: BTreeMap<HostName, Vec<Problem>>,
}

impl Survey {
    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.problems.is_empty()
    }

    /// Each problem once, with the hosts that have it, in the order in which they are found.
    #[must_use]
    pub fn by_problem(&self) -> Vec<(&Problem, Vec<&HostName>)> {
        let mut found: Vec<(&Problem, Vec<&HostName>)> = Vec::new();
        for (host, problems) in &self.problems {
            for problem in problems {
                match found.iter_mut().find(|(known, _)| *known == problem) {
                    Some((_, hosts)) => hosts.push(host),
                    None => found.push((problem, vec![host])),
                }
            }
        }
        found
    }

    fn add(&mut self, host: &HostName, problem: Problem) {
        let known = self.problems.entry(host.clone()).or_default();
        if !known.contains(&problem) {
            known.push(problem);
        }
    }
}

/// Gathers the problems of an observation for a deploy to `picked`. `help` knows the way out for hosts out of reach.
#[must_use]
pub fn preflight(
    observed: &Observation,
    inventory: &Inventory,
    picked: &[&Host],
    help: impl Fn(&HostName) -> Option<String>,
) -> Survey {
    let mut survey = Survey::default();
    for (host, facts) in &observed.hosts {
        if let Reach::Unreachable(why) = &facts.reach {
            survey.add(host, Problem { what: why.clone(), help: help(host) });
        }
        facts.problems.iter().for_each(|problem| survey.add(host, problem.clone()));
    }
    for facts in &observed.balancers {
        if let Reach::Unreachable(why) = &facts.reach
            && facts.problems.is_empty()
        {
            survey.add(&facts.key.host, Problem { what: why.clone(), help: help(&facts.key.host) });
        }
        facts.problems.iter().for_each(|problem| survey.add(&facts.key.host, problem.clone()));
    }
    let names: Vec<HostName> = picked.iter().map(|host| host.name.clone()).collect();
    for (host, problem) in balancer::preflight(observed, inventory, &names) {
        survey.add(&host, problem);
    }
    survey
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_of_many_hosts_is_told_once() {
        let mut survey = Survey::default();
        let [one, two]: [HostName; 2] = ["web1", "web2"].map(|name| name.parse().unwrap());
        let full = Problem::new("the disk is full", "free some");
        survey.add(&one, full.clone());
        survey.add(&one, Problem::new("no curl", "install it"));
        survey.add(&two, full.clone());
        let told = survey.by_problem();
        assert_eq!(told.len(), 2);
        assert_eq!(told[0], (&full, vec![&one, &two]));
    }
}
