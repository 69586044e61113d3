//! What the balancers' state says against a deploy, before anything is touched.

use std::collections::BTreeSet;

use crate::model::{
    BalancerFacts, Host, HostName, Inventory, Observation, Problem, Reach, ServerFacts, ServerName, ServerState,
};

use super::error::missing_server;

/// What stands in the way of deploying to the `picked` hosts, as far as the balancers tell.
///
/// A problem of a balancer as a whole is filed under the balancer host, one of a server under the server's host. Pure,
/// and in the order of the inventory.
#[must_use]
pub fn preflight(seen: &Observation, inventory: &Inventory, picked: &[HostName]) -> Vec<(HostName, Problem)> {
    let mut found = Vec::new();
    let (servers, picked) = (seen.servers(inventory), picked.iter().collect::<BTreeSet<_>>());
    for host in inventory.hosts.iter().filter(|host| picked.contains(&host.name)) {
        let mut judged: Vec<(&BalancerFacts, &ServerFacts)> = Vec::new();
        for (facts, server) in servers.of(host) {
            let balancer = &facts.key.host;
            let as_a_whole = facts.problems.iter().cloned().map(|problem| (balancer.clone(), problem));
            for problem in as_a_whole {
                if !found.contains(&problem) {
                    found.push(problem);
                }
            }
            if facts.reach != Reach::Reached || facts.servers.is_empty() {
                continue;
            }
            match facts.servers.get(&server) {
                None => found.push((host.name.clone(), missing(facts, &server))),
                Some(server_facts) => {
                    found.extend(
                        alone(inventory, host, facts, &server, server_facts)
                            .map(|problem| (host.name.clone(), problem)),
                    );
                    judged.push((facts, server_facts));
                }
            }
        }
        found.extend(together(&judged).map(|problem| (host.name.clone(), problem)));
    }
    found
}

fn missing(facts: &BalancerFacts, server: &ServerName) -> Problem {
    let known: Vec<&str> = facts.servers.keys().map(ServerName::as_str).collect();
    let what = format!("backend `{}` on `{}` has no server `{server}`", facts.key.backend, facts.key.host);
    Problem::new(what, missing_server(server.as_str(), &known))
}

/// What one balancer's view of a server says against taking it out and putting it back.
fn alone<'a>(
    inventory: &'a Inventory,
    host: &'a Host,
    facts: &'a BalancerFacts,
    server: &'a ServerName,
    state: &'a ServerFacts,
) -> impl Iterator<Item = Problem> {
    let place = format!("`{}/{server}` on `{}`", facts.key.backend, facts.key.host);
    let drained = (state.state != ServerState::Ready).then(|| {
        let what = format!("{place} is in {}: by hand, or a deploy was cut off there", state.state);
        let back = format!("`shipit enable {} {}`", host.name, inventory.environment);
        Problem::new(what, format!("leave it out with `--except {}`, or put it back with {back}", host.name))
    });
    // Of a server that is down, too: it would be noticed only when the host is to be back.
    let weightless = (state.weight == 0).then(|| {
        let set = format!("`set weight {}/{server} 1`", facts.key.backend);
        let help = format!("give it one, in haproxy.cfg or by {set}, or leave it out with `--except {}`", host.name);
        Problem::new(format!("{place} has the weight 0 and takes no traffic"), help)
    });
    let elsewhere = (!state.is_at(&host.address)).then(|| {
        let what = format!("{place} is at {}, and `{}` is at {}", state.address, host.name, host.address);
        Problem::new(what, "draining it would drain another machine: mend the inventory or haproxy.cfg")
    });
    let unchecked = (!state.checked).then(|| {
        let what = format!("{place} has no health check");
        Problem::new(
            what,
            "give the server `check` and its backend `option httpchk`, so that haproxy sees what it gets",
        )
    });
    [drained, weightless, elsewhere, unchecked].into_iter().flatten()
}

/// What balancers say differently about one server.
fn together(judged: &[(&BalancerFacts, &ServerFacts)]) -> Option<Problem> {
    let (first, one) = judged.first()?;
    // Two backends may well have different checks; two balancers of one backend may not.
    let rest = judged[1..].iter().filter(|(facts, _)| facts.key.backend == first.key.backend);
    let (second, other) = rest.into_iter().find(|(_, other)| other.state != one.state || other.up != one.up)?;
    let say = |facts: &BalancerFacts, state: &ServerFacts| format!("`{}` on `{}`", state.status, facts.key.host);
    let what = format!("the balancers disagree: {} and {}", say(first, one), say(second, other));
    Some(Problem::new(what, "the host would get less traffic than the floor counts on: see each balancer's checks"))
}

#[cfg(test)]
mod tests;
