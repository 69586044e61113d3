//! Each rule on a fleet of two apps behind two balancers, with one thing wrong.

use crate::model::{BalancerKind, BalancerSpec, LimitSpec, SshSpec, StrategyName, Template};

use super::*;

fn inventory() -> Inventory {
    let host = |(name, address, role): (&str, &str, &str)| Host {
        name: name.parse().unwrap(),
        address: address.parse().unwrap(),
        roles: [role.parse().unwrap()].into(),
        labels: [].into(),
    };
    let hosts = [("web1", "10.0.0.1", "app"), ("web2", "10.0.0.2", "app"), ("lb1", "lb1", "lb"), ("lb2", "lb2", "lb")];
    Inventory {
        environment: "test".parse().unwrap(),
        recipe: "web".parse().unwrap(),
        strategy: StrategyName::Rolling,
        protected: false,
        ssh: SshSpec::default(),
        limits: LimitSpec::default(),
        hosts: hosts.map(host).into(),
        balancers: vec![BalancerSpec {
            kind: BalancerKind::Haproxy,
            role: "lb".parse().unwrap(),
            socket: Template::parse("/run/haproxy/admin.sock").unwrap(),
            backend: "app".parse().unwrap(),
            server: Template::parse("{host}").unwrap(),
            serves: "app".parse().unwrap(),
        }],
        vars: [].into(),
    }
}

/// What is said when `spoil` has been done to the facts of `lb1` and `lb2`, of which nothing is wrong.
fn said(spoil: impl FnOnce(&mut [BalancerFacts])) -> Vec<String> {
    let server = |address: &str| ServerFacts {
        state: ServerState::Ready,
        up: true,
        weight: 1,
        checked: true,
        status: "UP".to_owned(),
        address: address.to_owned(),
        sticky: false,
    };
    let facts = |host: &str| BalancerFacts {
        key: crate::model::BalancerKey { host: host.parse().unwrap(), backend: "app".parse().unwrap() },
        reach: Reach::Reached,
        servers: [("web1", "10.0.0.1"), ("web2", "10.0.0.2")]
            .map(|(name, address)| (name.parse().unwrap(), server(address)))
            .into(),
        problems: Vec::new(),
    };
    let mut seen = Observation { balancers: vec![facts("lb1"), facts("lb2")], ..Observation::default() };
    spoil(&mut seen.balancers);
    let found = preflight(&seen, &inventory(), &["web1".parse().unwrap()]);
    found.into_iter().map(|(host, problem)| format!("{host}: {}", problem.what)).collect()
}

#[test]
fn a_fleet_as_it_should_be_has_no_problem() {
    assert_eq!(said(|_| {}), [""; 0]);
}

#[test]
fn a_host_that_is_not_picked_has_none() {
    assert_eq!(said(|facts| drop(facts[0].servers.remove("web2"))), [""; 0]);
}

#[test]
fn a_missing_server_is_named() {
    assert_eq!(
        said(|facts| drop(facts[1].servers.remove("web1"))),
        ["web1: backend `app` on `lb2` has no server `web1`"]
    );
}

#[test]
fn what_somebody_else_drained_is_left_alone() {
    let found = said(|facts| {
        for facts in facts {
            facts.servers.get_mut("web1").unwrap().state = ServerState::Maint;
        }
    });
    assert_eq!(
        found,
        [
            "web1: `app/web1` on `lb1` is in maint: by hand, or a deploy was cut off there",
            "web1: `app/web1` on `lb2` is in maint: by hand, or a deploy was cut off there",
        ]
    );
}

#[test]
fn another_machine_by_the_same_name_is_refused() {
    let found = said(|facts| facts[0].servers.get_mut("web1").unwrap().address = "10.0.0.9".to_owned());
    assert_eq!(found, ["web1: `app/web1` on `lb1` is at 10.0.0.9, and `web1` is at 10.0.0.1"]);
}

#[test]
fn a_server_without_a_check_is_refused() {
    let found = said(|facts| facts[0].servers.get_mut("web1").unwrap().checked = false);
    assert_eq!(found, ["web1: `app/web1` on `lb1` has no health check"]);
}

#[test]
fn balancers_that_disagree_are_named_with_what_they_say() {
    let found = said(|facts| {
        let web1 = facts[1].servers.get_mut("web1").unwrap();
        (web1.up, web1.status) = (false, "DOWN".to_owned());
    });
    assert_eq!(found, ["web1: the balancers disagree: `UP` on `lb1` and `DOWN` on `lb2`"]);
}

#[test]
fn a_weight_of_zero_is_no_service() {
    let found = said(|facts| {
        for facts in facts {
            let web1 = facts.servers.get_mut("web1").unwrap();
            // So it is noticed before the app runs for the first time.
            (web1.up, web1.weight, web1.status) = (false, 0, "DOWN".to_owned());
        }
    });
    assert_eq!(found[0], "web1: `app/web1` on `lb1` has the weight 0 and takes no traffic");
}

#[test]
fn the_problems_of_a_balancer_are_its_own_and_told_once() {
    let found = said(|facts| {
        facts[0].reach = Reach::Unreachable("no".to_owned());
        facts[0].servers.clear();
        facts[0].problems.push(Problem::new("haproxy on `lb1` does not answer", "see to it"));
    });
    assert_eq!(found, ["lb1: haproxy on `lb1` does not answer"]);
}
