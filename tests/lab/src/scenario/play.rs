//! One scenario, from the start of its fleet to the verdict.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::faults::on_every_balancer;
use super::file::{AtFile, Maintenance, Run, Scenario, Terminated};
use super::{Verdict, expectation, merge};
use crate::command;
use crate::error::Result;
use crate::fleet::{Fleet, haproxy};
use crate::load::{Load, Mix};
use crate::shipit::{self, Outcome, Output, Shipit};
use crate::wait;

/// haproxy sends requests to a new server after two checks, half a second apart.
const SERVING_WITHIN: Duration = Duration::from_secs(20);

/// What a run does to requests shows at the latest when the slow ones that it met are over.
const AFTERMATH: Duration = Duration::from_millis(2500);

/// Two at the same moment are one.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(300);

/// A step of a deploy that makes a file is among the first.
const APPEARS_WITHIN: Duration = Duration::from_mins(1);

/// Plays a scenario; with `keep` its fleet stands on if it failed.
pub fn play(scenario: &Scenario, shipit: &Shipit, keep: bool) -> Result<Verdict> {
    if let Some(reason) = scenario.faults.impossible_here() {
        return Ok(Verdict::Skipped(reason));
    }
    let fleet = Fleet::renew(scenario.fleet.spec())?;
    set_up(scenario, &fleet, shipit)?;
    let (reasons, sent) = perform(scenario, &fleet, shipit)?;
    if reasons.is_empty() {
        fleet.down()?;
        return Ok(Verdict::Passed(sent));
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

fn perform(scenario: &Scenario, fleet: &Fleet, shipit: &Shipit) -> Result<(Vec<String>, usize)> {
    let mix = Mix { streams: scenario.streams, ..Mix::default() };
    let load = if scenario.load { Some(Load::start_mix(fleet.frontends(), mix)?) } else { None };
    let began = Instant::now();
    let ended = || load.as_ref().map_or(0, |load| load.streams().ended);
    let mut reasons = Vec::new();
    let mut restarts = Vec::new();
    for run in &scenario.run {
        let before = ended();
        let (outcome, restart) = one_run(run, fleet, shipit)?;
        restarts.extend(restart.map(|(from, to)| from.duration_since(began)..to.duration_since(began)));
        reasons.extend(expectation::of_run(run, &outcome));
        reasons.extend(expectation::of_streams(run, ended() - before));
    }
    reasons.extend(expectation::of_fleet(&scenario.expect, fleet));
    let mut sent = 0;
    if let Some(load) = load {
        thread::sleep(AFTERMATH);
        let report = load.stop()?;
        sent = report.sent();
        reasons.extend(expectation::of_load(&report, &restarts));
    }
    Ok((reasons, sent))
}

/// Waits until a file in the fleet's directory is there.
fn appears(fleet: &Fleet, file: &str) -> bool {
    let path = fleet.layout.root.join(file);
    wait::until(file, APPEARS_WITHIN, None, || path.exists().then_some(())).is_ok()
}

/// An argument, with `{release VERSION}` as the id of the first host's release that has this version in it.
fn with_release(fleet: &Fleet, argument: &str) -> String {
    let version = argument.strip_prefix("{release ").and_then(|rest| rest.strip_suffix('}'));
    let releases = fs::read_dir(fleet.web[0].srv().join("releases")).into_iter().flatten().flatten();
    let has = |release: &fs::DirEntry| {
        let text = fs::read_to_string(release.path().join("version"));
        text.is_ok_and(|text| Some(text.trim()) == version)
    };
    let found = version.and_then(|_| releases.into_iter().find(has));
    found.map_or_else(|| argument.to_owned(), |release| release.file_name().to_string_lossy().into_owned())
}

/// Runs shipit, while the things happen that the run says. With what came of it, from when to when an nginx was restarted.
fn one_run(run: &Run, fleet: &Fleet, shipit: &Shipit) -> Result<(Outcome, Option<(Instant, Instant)>)> {
    if let Some(script) = &run.before {
        let root = fleet.layout.root.to_string_lossy().into_owned();
        command::run("sh", &["-euc", "cd \"$1\"; eval \"$2\"", "sh", &root, script])?;
    }
    let arguments: Vec<String> = run.arguments.iter().map(|one| with_release(fleet, one)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    thread::scope(|scope| {
        if let Some(delay) = run.killed_after {
            scope.spawn(move || {
                thread::sleep(delay);
                shipit::kill_running();
            });
        }
        if let Some(Terminated { file, times }) = &run.terminated_at {
            scope.spawn(move || {
                if appears(fleet, file) {
                    for _ in 0..*times {
                        shipit::terminate_running();
                        thread::sleep(BETWEEN_SIGNALS);
                    }
                }
            });
        }
        if let Some(file) = &run.killed_at {
            scope.spawn(move || {
                if appears(fleet, file) {
                    shipit::kill_running();
                }
            });
        }
        let restart = run.nginx_restarted_at.as_ref().map(|AtFile { host, file }| {
            scope.spawn(move || {
                appears(fleet, file).then(|| {
                    let began = Instant::now();
                    if let Err(error) = fleet.host(host).and_then(|host| fleet.restart_nginx(&host)) {
                        eprintln!("{error}");
                    }
                    (began, Instant::now())
                })
            })
        });
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
        let outcome = shipit.run(fleet, &arguments, Output::Kept)?;
        Ok((outcome, restart.and_then(|thread| thread.join().ok().flatten())))
    })
}
