//! Looks at a host that only a deploy or a check needs.

use futures::future::join_all;

use super::Fleet;
use super::fleet::LOOK_SLACK;
use crate::balancer::ASK;
use crate::model::{Host, HostName, Observation, Problem, Reach, Release, Size};
use crate::remote::{Purpose, RouteCheck, check_post, read_check, read_post};
use crate::transport::{Progress, Session, Transport};

impl<T: Transport> Fleet<T> {
    /// [`Self::observe`], and for those of `routed` [`Self::check_routes`], all at once.
    pub async fn observe_routed(
        &self,
        hosts: &[&Host],
        purpose: Purpose,
        coming: Option<(&Release, Size)>,
        routed: &[&Host],
    ) -> Observation {
        let (mut observed, checks) = futures::join!(self.observe(hosts, purpose, coming), self.route_checks(routed));
        add(checks, &mut observed);
        observed
    }

    /// Adds to what was `observed` what stands in the way of telling the local nginx where to send traffic, and what that costs.
    pub async fn check_routes(&self, hosts: &[&Host], observed: &mut Observation) {
        add(self.route_checks(hosts).await, observed);
    }

    async fn route_checks(&self, hosts: &[&Host]) -> Vec<(HostName, RouteCheck)> {
        let site = self.site();
        let checks = hosts.iter().filter_map(|host| {
            let (session, script) = (self.sessions.get(&host.name)?, site.check_route(host)?);
            Some(async move {
                let check = match self.ask(host, session, &script).await {
                    Ok(output) => read_check(&output),
                    Err(error) => {
                        let problem = Problem { what: error.to_string(), help: None };
                        RouteCheck { problems: vec![problem], notes: Vec::new() }
                    }
                };
                (host.name.clone(), check)
            })
        });
        join_all(checks).await
    }

    /// Adds to what was `observed` what would keep a guard from its post at a balancer. A deploy asks the guards themselves.
    pub async fn check_posts(&self, observed: &mut Observation) {
        let asked = self.balancers.sockets().map(|(host, session, path)| async move {
            let answer = session.run(&check_post(path, ASK), LOOK_SLACK, &Progress::unheard()).await;
            (
                host,
                answer.map_or_else(
                    |error| vec![Problem { what: error.to_string(), help: None }],
                    |output| read_post(&output),
                ),
            )
        });
        for (host, problems) in join_all(asked).await {
            // Why one can't be reached says it all.
            let mut reached = observed.balancers.iter_mut().filter(|facts| facts.reach == Reach::Reached);
            if let Some(facts) = reached.find(|facts| facts.key.host == *host) {
                facts.problems.extend(problems);
            }
        }
    }
}

fn add(checks: Vec<(HostName, RouteCheck)>, observed: &mut Observation) {
    for (host, RouteCheck { problems, notes }) in checks {
        if let Some(facts) = observed.hosts.get_mut(&host) {
            facts.problems.extend(problems);
            facts.notes.extend(notes);
        }
    }
}
