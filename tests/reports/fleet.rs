//! A fleet to look at: eight hosts behind two balancers, with all that can be odd about them.

use std::collections::BTreeMap;
use std::time::Duration;

use shipit::model::{
    AppSpec, BackendName, BalancerFacts, BalancerKey, BalancerKind, BalancerSpec, DrainSpec, HealthSpec, Host,
    HostFacts, Instance, InstanceFacts, Inventory, Leftover, LimitSpec, Observation, Problem, Reach, Recipe,
    ReleaseProof, ReleaseSpec, ServerFacts, ServerState, Source, SshSpec, StrategyName, Template, WarmSpec, WatchSpec,
};

use crate::story::{NEW, OLD, host, id};

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

pub fn inventory() -> Inventory {
    let web = |number: usize| Host {
        name: host(number),
        address: format!("10.0.0.{}", 10 + number).parse().unwrap(),
        roles: ["app".parse().unwrap()].into(),
        labels: [("zone".to_owned(), if number.is_multiple_of(2) { "a" } else { "b" }.to_owned())].into(),
    };
    let balancer = |name: &str| Host {
        name: name.parse().unwrap(),
        address: name.parse().unwrap(),
        roles: ["lb".parse().unwrap()].into(),
        labels: BTreeMap::new(),
    };
    Inventory {
        environment: "production".parse().unwrap(),
        recipe: "web".parse().unwrap(),
        strategy: StrategyName::Rolling,
        protected: true,
        ssh: SshSpec::default(),
        limits: LimitSpec::default(),
        hosts: (1..=8).map(web).chain(["lb1", "lb2"].map(balancer)).collect(),
        balancers: vec![BalancerSpec {
            kind: BalancerKind::Haproxy,
            role: "lb".parse().unwrap(),
            socket: template("/run/haproxy/admin.sock"),
            backend: "app".parse().unwrap(),
            server: template("{host}"),
            serves: "app".parse().unwrap(),
        }],
        vars: BTreeMap::new(),
    }
}

pub fn recipe() -> Recipe {
    let second = Duration::from_secs(1);
    Recipe {
        name: "web".parse().unwrap(),
        release: ReleaseSpec {
            root: template("/srv/app"),
            keep: 5,
            source: Source::Directory("dist".into()),
            linked_dirs: vec![],
            linked_files: vec![],
        },
        app: AppSpec {
            role: "app".parse().unwrap(),
            instances: vec![Instance(4040), Instance(4041)],
            restart: template("restart"),
            restart_timeout: second,
            logs: None,
        },
        health: HealthSpec {
            url: template("http://127.0.0.1:{port}/"),
            interval: second,
            timeout: second,
            deadline: second,
            passes: 1,
            release: ReleaseProof::Process,
        },
        warm: WarmSpec { urls: vec![], requests: 0, timeout: second },
        drain: DrainSpec { timeout: second, leftover: Leftover::Abort },
        watch: WatchSpec { duration: second },
        hotswap: None,
        preboot: None,
        tasks: vec![],
    }
}

/// All serve the old release.
pub fn calm() -> Observation {
    let server = |_| ServerFacts {
        state: ServerState::Ready,
        up: true,
        weight: 1,
        checked: true,
        status: "UP".to_owned(),
        address: String::new(),
        sticky: false,
    };
    let instance =
        |port| InstanceFacts { instance: Instance(port), running: Some(id(OLD)), healthy: true, memory: None };
    let facts =
        HostFacts { current: Some(id(OLD)), instances: [4040, 4041].map(instance).to_vec(), ..HostFacts::default() };
    let balancer = |name: &str| BalancerFacts {
        key: BalancerKey { host: name.parse().unwrap(), backend: "app".parse().unwrap() },
        reach: Reach::Reached,
        servers: (1..=8).map(|number| (format!("web{number}").parse().unwrap(), server(number))).collect(),
        problems: vec![],
    };
    Observation {
        hosts: (1..=8).map(|number| (host(number), facts.clone())).collect(),
        balancers: ["lb1", "lb2"].map(balancer).to_vec(),
    }
}

/// Each haproxy sends the hosts the traffic of two backends, and one of these has a host down.
pub fn two_backends() -> (Inventory, Observation) {
    let (mut inventory, mut seen) = (inventory(), calm());
    let backend: BackendName = "pages".parse().unwrap();
    inventory.balancers.push(BalancerSpec { backend: backend.clone(), ..inventory.balancers[0].clone() });
    let mut others = seen.balancers.clone();
    for facts in &mut others {
        facts.key.backend = backend.clone();
    }
    let web2 = others[1].servers.get_mut("web2").unwrap();
    (web2.up, web2.status) = (false, "DOWN".to_owned());
    seen.balancers.append(&mut others);
    (inventory, seen)
}

/// What a deploy that was cut off may leave, and more.
pub fn odd() -> Observation {
    let mut odd = calm();
    let facts = |odd: &mut Observation, number: usize, change: &dyn Fn(&mut HostFacts)| {
        change(odd.hosts.get_mut(&host(number)).unwrap());
    };
    for number in [1, 2] {
        facts(&mut odd, number, &|facts| {
            facts.current = Some(id(NEW));
            facts.instances.iter_mut().for_each(|one| one.running = Some(id(NEW)));
        });
    }
    facts(&mut odd, 3, &|facts| {
        facts.current = Some(id(NEW));
        facts.instances[1].running = Some(id(NEW));
        facts.instances[1].healthy = false;
    });
    facts(&mut odd, 4, &|facts| {
        facts.current = Some(id(NEW));
        facts.routed = vec![Instance(4040)];
    });
    facts(&mut odd, 5, &|facts| {
        *facts =
            HostFacts { reach: Reach::Unreachable("connection timed out\u{1b}[2J".to_owned()), ..HostFacts::default() };
    });
    for number in [6, 7, 8] {
        facts(&mut odd, number, &|facts| {
            facts.problems.push(Problem::new("/srv is 97% full", "remove old releases, or lower `keep`"));
        });
    }
    let server = |balancer: &mut BalancerFacts, name: &str, state, status: &str| {
        let server = balancer.servers.get_mut(name).unwrap();
        (server.state, server.status, server.up) = (state, status.to_owned(), status == "UP");
    };
    let [lb1, lb2] = &mut odd.balancers[..] else { panic!("there are two balancers") };
    server(lb1, "web3", ServerState::Drain, "DRAIN");
    server(lb2, "web3", ServerState::Drain, "DRAIN");
    server(lb1, "web4", ServerState::Drain, "DRAIN");
    server(lb1, "web5", ServerState::Ready, "DOWN");
    server(lb2, "web5", ServerState::Ready, "DOWN 1/3");
    lb1.servers.remove("web8");
    lb2.problems.push(Problem::new("the state file is not loaded", "set `load-server-state-from-file`"));
    odd
}
