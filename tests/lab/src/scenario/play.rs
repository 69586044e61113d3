//! One scenario, from the start of its fleet to the verdict.

use std::thread;
use std::time::Duration;

use super::faults::on_every_balancer;
use super::file::{Maintenance, Run, Scenario};
use super::{Verdict, expectation, merge};
use crate::error::Result;
use crate::fleet::{Fleet, haproxy};
use crate::load::Load;
use crate::shipit::{self, Outcome, Output, Shipit};

/// haproxy sends requests to a new server after two checks, half a second apart.
const SERVING_WITHIN: Duration = Duration::from_secs(20);

/// What a run does to requests shows at the latest when the slow ones that it met are over.
const AFTERMATH: Duration = Duration::from_millis(2500);

/// Plays a scenario; with `keep` its fleet stands on if it failed.
pub fn play(scenario: &Scenario, shipit: &Shipit, keep: bool) -> Result<Verdict> {
    if let Some(reason) = scenario.faults.impossible_here() {
        return Ok(Verdict::Skipped(reason));
    }
    let fleet = Fleet::renew(scenario.fleet.spec())?;
    set_up(scenario, &fleet, shipit)?;
    let reasons = perform(scenario, &fleet, shipit)?;
    if reasons.is_empty() {
        fleet.down()?;
        return Ok(Verdict::Passed);
    }
    if keep {
        println!("the fleet stands on in {}", fleet.layout.root.display());
        fleet.leave()?;
    } else {
        fleet.down()?;
    }
    Ok(Verdict::Failed(reasons))
}

fn set_up(scenario: &Scenario, fleet: &Fleet, shipit: &Shipit) -> Result<()> {
    scenario.faults.prepare(fleet)?;
    fleet.write_app(&scenario.old, "old")?;
    shipit.deploy_first(fleet, Output::Kept)?;
    fleet.await_servers_up(SERVING_WITHIN)?;
    scenario.faults.strike(fleet)?;
    let project = fleet.layout.project();
    merge::overlay(&project.join("inventories/lab.toml"), &scenario.inventory)?;
    merge::overlay(&project.join("recipes/lab.toml"), &scenario.recipe)?;
    fleet.write_app(&scenario.new, "new")
}

fn perform(scenario: &Scenario, fleet: &Fleet, shipit: &Shipit) -> Result<Vec<String>> {
    let load = if scenario.load { Some(Load::start(fleet.frontends())?) } else { None };
    let mut outcomes = Vec::new();
    for run in &scenario.run {
        outcomes.push((run, one_run(run, fleet, shipit)?));
    }
    let mut reasons: Vec<String> =
        outcomes.iter().flat_map(|(run, outcome)| expectation::of_run(run, outcome)).collect();
    reasons.extend(expectation::of_fleet(&scenario.expect, fleet));
    if let Some(load) = load {
        thread::sleep(AFTERMATH);
        reasons.extend(expectation::of_load(&load.stop()?));
    }
    Ok(reasons)
}

/// Runs shipit, while the things happen that the run says.
fn one_run(run: &Run, fleet: &Fleet, shipit: &Shipit) -> Result<Outcome> {
    let arguments: Vec<&str> = run.arguments.iter().map(String::as_str).collect();
    thread::scope(|scope| {
        if let Some(delay) = run.killed_after {
            scope.spawn(move || {
                thread::sleep(delay);
                shipit::kill_running();
            });
        }
        if let Some(delay) = run.haproxy_reloaded_after {
            scope.spawn(move || {
                thread::sleep(delay);
                for balancer in &fleet.balancers {
                    if let Err(error) = haproxy::reload(&fleet.layout, balancer) {
                        eprintln!("{error}");
                    }
                }
            });
        }
        if let Some(Maintenance { server, after }) = &run.maintenance {
            scope.spawn(move || {
                thread::sleep(*after);
                if let Err(error) = on_every_balancer(fleet, &[format!("set server app/{server} state maint")]) {
                    eprintln!("{error}");
                }
            });
        }
        shipit.run(fleet, &arguments, Output::Kept)
    })
}
