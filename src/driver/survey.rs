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
