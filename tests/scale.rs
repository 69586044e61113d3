//! Plans for thousands of hosts, and their scheduling on a fleet where everything happens at once: that it ends, and how long
//! our own thinking takes. `cargo test --release --test scale -- --nocapture` prints it; nothing is asserted of time.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use shipit::config::Demands;
use shipit::driver::preflight;
use shipit::engine::{Command, Event, Fact, LaneEnd, Scheduler, Stamped};
use shipit::model::{
    Amount, HostName, Inventory, Observation, Options, Recipe, Release, ServerName, StepResult, StrategyName, View,
};
use shipit::plan::Plan;
use shipit::report::Board;
use shipit::strategy::{PlanInput, plan};

const HOSTS: u32 = 5000;

struct Fleet {
    inventory: Inventory,
    recipe: Recipe,
    observed: Observation,
    release: Release,
}

/// The example of `tests/plans`, with so many hosts more, behind two balancers.
fn fleet(behind_balancers: bool) -> Fleet {
    let base =
        |name: &str| fs::read_to_string(format!("{}/tests/plans/_base/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let project = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = project.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let inventory = base("inventory.toml")
        .replace("web[1:4]", &format!("web[1:{HOSTS}]"))
        .replace("address = \"10.0.0.[11:14]\"\n", "")
        .replace("\"lb1\"", "\"lb[1:2]\"");
    let inventory =
        if behind_balancers { inventory } else { inventory.split("[[balancers]]").next().unwrap().to_owned() };
    write("inventories/production.toml", &inventory);
    write("recipes/web.toml", &base("recipe.toml"));
    let demands = Demands { artifact: false, ..Demands::ALL };
    let (inventory, recipe) = shipit::config::load(project.path(), "production", demands).unwrap();
    let seen: Observation = serde_json::from_str(&base("observed.json")).unwrap();
    let facts = seen.hosts.values().next().unwrap();
    let names = inventory.with_role(&recipe.app.role).map(|host| host.name.clone());
    let hosts: BTreeMap<HostName, _> = names.map(|name| (name, facts.clone())).collect();
    let server = seen.balancers[0].servers.values().next().unwrap();
    let servers: BTreeMap<ServerName, _> = hosts
        .keys()
        .map(|name| {
            let mut server = server.clone();
            server.address.clear();
            (name.as_str().parse().unwrap(), server)
        })
        .collect();
    let facts_of = |host: &str| {
        let mut facts = seen.balancers[0].clone();
        facts.key.host = host.parse().unwrap();
        facts.servers.clone_from(&servers);
        facts
    };
    let balancers = if behind_balancers { vec![facts_of("lb1"), facts_of("lb2")] } else { vec![] };
    let release = serde_json::from_str(&base("release.json")).unwrap();
    Fleet { inventory, recipe, observed: Observation { hosts, balancers }, release }
}

impl Fleet {
    fn plan(&self, max_in_flight: u32) -> Plan {
        let mut limits = self.inventory.limits;
        limits.max_in_flight = Amount::Count(max_in_flight);
        limits.min_serving = Amount::Count(HOSTS / 2);
        let options = Options {
            verb: shipit::model::Verb::Deploy,
            strategy: StrategyName::Rolling,
            limits,
            max_in_flight: None,
            only: None,
            except: None,
            skipped: vec![],
            canary: 0,
            bake: std::time::Duration::ZERO,
        };
        let Self { inventory, recipe, observed, release } = self;
        let began = Instant::now();
        let plan = plan(&PlanInput { inventory, recipe, release, observed, options: &options }).unwrap();
        println!("planning {HOSTS} hosts: {:.3} s", began.elapsed().as_secs_f64());
        plan
    }
}

/// Has everything succeed, in the order of the commands, and returns the hosts that are done.
fn simulate(plan: Plan) -> u32 {
    let plan = Arc::new(plan);
    let everybody = View { serving: plan.fleet.iter().cloned().collect() };
    let mut board = Board::new("test", (*plan).clone());
    let mut scheduler = Scheduler::new(plan.clone());
    let mut facts = VecDeque::from([Fact::Begin]);
    let (mut events, mut looks) = (0, 0);
    let began = Instant::now();
    'run: while let Some(fact) = facts.pop_front() {
        let commands = scheduler.on(fact.clone());
        let heard = std::iter::once(Event::Fact(fact)).chain(commands.iter().cloned().map(Event::Command));
        for event in heard {
            events += board.fold(&Stamped { elapsed: 0.0, event }).len();
        }
        for command in commands {
            match command {
                Command::Perform { at, .. } => {
                    facts.push_back(Fact::StepFinished { at, result: StepResult::Ok(String::new()) });
                }
                Command::Look { .. } => {
                    looks += 1;
                    facts.push_back(Fact::Looked { view: Ok(everybody.clone()) });
                }
                Command::CloseLane { .. } => drop(std::hint::black_box(board.counts())),
                Command::Finish => break 'run,
                _ => {}
            }
        }
    }
    println!("scheduling it: {events} pieces of news, {looks} looks, {:.3} s", began.elapsed().as_secs_f64());
    let last = plan.waves.len() - 1;
    scheduler.ends().filter(|(at, end)| at.wave == last && *end == LaneEnd::Done).count().try_into().unwrap()
}

#[test]
fn five_thousand_hosts_are_planned_and_scheduled_to_the_end() {
    let fleet = fleet(true);
    assert_eq!(simulate(fleet.plan(HOSTS / 4)), HOSTS);
    let names: Vec<_> = fleet.inventory.with_role(&fleet.recipe.app.role).collect();
    let began = Instant::now();
    assert!(preflight(&fleet.observed, &fleet.inventory, &names, |_| None).is_clear());
    println!("preflight: {:.3} s", began.elapsed().as_secs_f64());
}

#[test]
fn so_are_they_without_balancers() {
    assert_eq!(simulate(fleet(false).plan(HOSTS)), HOSTS);
}
