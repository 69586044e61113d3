//! The verdict: every way in which what is found differs from what was to be. An empty list means that all is well.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::time::Duration;

use super::file::{Expect, Run};
use crate::fleet::{Fleet, Host, haproxy, nginx, strangers};
use crate::load::{Loss, Report};
use crate::shipit::Outcome;
use crate::wait::{last_lines, until};

/// A guard puts things back within seconds of shipit's end; haproxy then needs two checks.
const SETTLED_WITHIN: Duration = Duration::from_secs(15);

/// What is wrong with a run.
pub fn of_run(run: &Run, outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    if outcome.code != run.exit {
        wrong.push(format!("`{}` ended with {}, not {}", outcome.command, outcome.code, run.exit));
    }
    for phrase in run.stderr_contains.iter().filter(|phrase| !outcome.stderr.contains(*phrase)) {
        wrong.push(format!("standard error does not say `{phrase}`"));
    }
    for phrase in run.stderr_lacks.iter().filter(|phrase| outcome.stderr.contains(*phrase)) {
        wrong.push(format!("standard error says `{phrase}`"));
    }
    for phrase in run.stdout_contains.iter().filter(|phrase| !outcome.stdout.contains(*phrase)) {
        wrong.push(format!("standard output does not say `{phrase}`"));
    }
    // A process that was killed cannot tidy up; every other one must.
    if run.exit >= 0 && !outcome.left.is_empty() {
        wrong.push(format!("shipit left files behind: {}", outcome.left.join(", ")));
    }
    if !wrong.is_empty() {
        wrong.push(format!("shipit said:\n{}", last_lines(&format!("{}{}", outcome.stdout, outcome.stderr))));
    }
    wrong
}

/// What is wrong with the streams, of which so many ended during a run.
pub fn of_streams(run: &Run, ended: usize) -> Option<String> {
    let wrong = run.streams_ended.is_some_and(|wanted| wanted != (ended > 0));
    wrong.then(|| format!("{ended} streams ended during `{}`", run.arguments.join(" ")))
}

/// What is wrong with the requests. While somebody restarts an nginx, one that it had not accepted may be lost with its socket, and
/// that is nobody else's doing.
pub fn of_load(report: &Report, restarts: &[Range<Duration>]) -> Vec<String> {
    let is_of_a_restart = |loss: &Loss| restarts.iter().any(|restart| restart.contains(&(loss.at + loss.after)));
    if report.losses.iter().all(is_of_a_restart) {
        return Vec::new();
    }
    vec![format!("{} of {} requests failed:\n{}", report.failed(), report.sent(), report.losses_explained())]
}

/// What is wrong with the fleet, once it has had time to settle.
pub fn of_fleet(expect: &Expect, fleet: &Fleet) -> Vec<String> {
    let mut wrong = Vec::new();
    let settled = until("the fleet settles", SETTLED_WITHIN, None, || {
        wrong = differences(expect, fleet);
        wrong.is_empty().then_some(())
    });
    if settled.is_ok() { Vec::new() } else { wrong }
}

fn differences(expect: &Expect, fleet: &Fleet) -> Vec<String> {
    let mut wrong = Vec::new();
    for instance in fleet.instances() {
        let found = instance.version.as_deref().unwrap_or("none");
        let place = format!("the process of {}:{}", instance.host, instance.port);
        compare(&mut wrong, &place, found, wanted(&expect.releases, &instance.host));
    }
    for instance in fleet.idle_instances() {
        let found = instance.version.as_deref().unwrap_or("none");
        let place = format!("the idle process of {}:{}", instance.host, instance.port);
        compare(&mut wrong, &place, found, wanted(&expect.idle, &instance.host));
    }
    for host in &fleet.web {
        let releases = if expect.current.is_empty() { &expect.releases } else { &expect.current };
        let place = format!("`current` of {}", host.name);
        compare(&mut wrong, &place, &current(host), wanted(releases, &host.name));
        let (out, wanted_out) = (
            nginx::left_out(&fleet.layout, host, &fleet.spec),
            expect.left_out.get(&host.name).cloned().unwrap_or_default(),
        );
        if out != wanted_out {
            wrong.push(format!("nginx of {} leaves out {out:?}, not {wanted_out:?}", host.name));
        }
    }
    for balancer in &fleet.balancers {
        let states = haproxy::servers(&fleet.layout.admin_socket(&balancer.name)).unwrap_or_default();
        for host in &fleet.web {
            let state = states.iter().find(|state| state.name == host.name);
            let found = state.map_or("none", |state| state.status.as_str());
            let place = format!("server {} on {}", host.name, balancer.name);
            compare(&mut wrong, &place, found, wanted(&expect.servers, &host.name));
        }
    }
    for stranger in strangers(fleet) {
        wrong.push(format!("process {} was left behind: {}", stranger.process.pid(), stranger.command));
    }
    wrong
}

fn wanted<'a>(expected: &'a BTreeMap<String, String>, host: &str) -> Option<&'a str> {
    expected.get(host).or_else(|| expected.get("*")).map(String::as_str)
}

fn compare(wrong: &mut Vec<String>, place: &str, found: &str, wanted: Option<&str>) {
    if let Some(wanted) = wanted
        && wanted != found
    {
        wrong.push(format!("{place}: {found}, not {wanted}"));
    }
}

/// The release that `current` resolves to, by its version.
fn current(host: &Host) -> String {
    let version = fs::read_to_string(host.srv().join("current/version"));
    version.map_or("none".into(), |text| text.trim().to_owned())
}
