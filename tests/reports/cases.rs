//! The runs that are reported on.

use shipit::engine::{Cancel, Failure, StepResult};
use shipit::model::{Instance, Verb};
use shipit::plan::{Action, Phase, Plan};

use crate::story::{Story, host, hotswap, plan, preboot};

pub type Tell = fn() -> Story;

/// Each case is a folder beside this file.
pub const CASES: &[(&str, Tell)] = &[
    ("done", || Story::new(plan(8, 0, 2, 6))),
    ("canary", || Story::new(plan(8, 1, 2, 6))),
    ("canary-refused", || {
        let failure = Failure::new("web1 answered 14 of 212 requests with 5xx, the others 0 of 1,490");
        Story { gate: StepResult::Failed(failure), ..Story::new(plan(8, 1, 2, 6)) }
    }),
    ("put-back", || Story::new(plan(8, 0, 1, 6)).with_fault(unhealthy)),
    ("first-refused", || Story::new(first(plan(4, 0, 4, 2))).with_fault(unwatched)),
    ("broken", || {
        Story::new(plan(8, 0, 2, 6)).with_fault(|host, action, undo| match action {
            Action::Activate { .. } if undo && host == "web3" => Some((
                StepResult::Failed(Failure {
                    code: Some(1),
                    output: vec!["Job for app@4040.service failed.".to_owned(), "See \"systemctl status\".".to_owned()],
                    ..Failure::new("the restart of 4040 ended with an error")
                }),
                1.4,
            )),
            _ => unhealthy(host, action, undo),
        })
    }),
    ("hostile", || {
        Story::new(plan(3, 0, 1, 2)).with_fault(|host, action, undo| {
            (host == "web2" && !undo && matches!(action, Action::Activate { .. })).then(|| {
                let lines = [
                    "::error title=pwned::not from shipit".to_owned(),
                    "text ##[add-mask]e".to_owned(),
                    "::stop-commands::x\r\n::set-output name=code::0".to_owned(),
                    "\u{1b}[2J\u{1b}[1;1Hcleared? \u{9b}31m \u{7}".to_owned(),
                    "rm -rf \u{202e}gnp.exe\u{200b}".to_owned(),
                    "</pre><script>alert(1)</script> | `x` **b**".to_owned(),
                    "x".repeat(10 << 20),
                ];
                let failure = Failure {
                    code: Some(127),
                    output: lines.to_vec(),
                    ..Failure::new("restart said 100%, \u{1b}]0;title\u{7}a: b\n::error::c")
                };
                (StepResult::Failed(failure), 2.2)
            })
        })
    }),
    ("cancelled", || Story { cancel: Some((14.0, Cancel::Finish)), ..Story::new(plan(8, 0, 1, 6)) }),
    ("cancelled-now", || {
        let mut plan = plan(8, 0, 2, 6);
        plan.waves.remove(1);
        Story { cancel: Some((26.0, Cancel::Unwind)), ..Story::new(plan) }
    }),
    ("unprepared", || {
        Story::new(plan(8, 0, 2, 6)).with_fault(|host, action, _| {
            let full = || Failure { code: Some(2), ..Failure::new("no room: 12.3 MB wanted, 0.4 MB free on /srv") };
            (host == "web6" && matches!(action, Action::Upload { .. })).then(|| (StepResult::Failed(full()), 0.7))
        })
    }),
    ("task-failed", || {
        Story::new(plan(8, 0, 2, 6)).with_fault(|_, action, _| {
            let output =
                ["== 20261120 AddIndex: migrating", "PG::LockNotAvailable: canceling statement due to lock timeout"];
            let failure = || Failure {
                code: Some(1),
                output: output.map(str::to_owned).to_vec(),
                ..Failure::new("`bin/rails db:migrate` ended with an error")
            };
            matches!(action, Action::Task { .. }).then(|| (StepResult::Failed(failure()), 12.4))
        })
    }),
    ("finish-failed", || {
        Story::new(plan(8, 0, 4, 4)).with_fault(|host, action, _| {
            let failure = || Failure::new("a release could not be pruned: read-only file system");
            (host == "web5" && matches!(action, Action::Confirm { .. })).then(|| (StepResult::Failed(failure()), 0.4))
        })
    }),
    ("hotswap", || Story::new(hotswap(4))),
    ("preboot", || Story::new(preboot(2))),
    ("hotswap-goes-back", || {
        Story::new(hotswap(8)).with_fault(|host, action, undo| {
            let second = matches!(action, Action::Health { instances, .. } if instances[..] == [Instance(4041)]);
            (host == "web3" && !undo && second).then(|| (StepResult::Failed(refused()), 20.0))
        })
    }),
    ("hotswap-cancelled-now", || Story { cancel: Some((16.0, Cancel::Unwind)), ..Story::new(hotswap(8)) }),
    // Once all of them have the release, the rest is done, too.
    ("hotswap-cancelled-late", || Story { cancel: Some((22.0, Cancel::Finish)), ..Story::new(hotswap(4)) }),
    ("hotswap-balancer-lost", || {
        let silent = "haproxy on `lb1` does not answer: no answer within 5s";
        let watched = move |_: &str, action: &Action, undo: bool| {
            (!undo && matches!(action, Action::Watch)).then(|| (StepResult::Unknown(Failure::new(silent)), 5.1))
        };
        Story { unseen: Some(silent.to_owned()), ..Story::new(hotswap(4)).with_fault(watched) }
    }),
    ("rollback", || Story::new(rollback(plan(4, 0, 1, 2)))),
    ("rollback-stops", || Story::new(rollback(plan(4, 0, 1, 2))).with_fault(unhealthy)),
    ("hold", || {
        let late = [(host(7), 44.0), (host(8), 44.0)].into();
        Story { late, ..Story::new(plan(8, 0, 2, 6)) }
    }),
    ("many", || Story::new(plan(200, 0, 20, 150)).with_fault(slow_or_unhealthy)),
    ("many-fail", || {
        Story::new(plan(200, 0, 20, 150)).with_fault(|_, action, undo| {
            (matches!(action, Action::Health { .. }) && !undo).then(|| (StepResult::Failed(refused()), 20.0))
        })
    }),
];

/// The same where nothing was before.
fn first(mut plan: Plan) -> Plan {
    plan.replaces.clear();
    let steps = plan.waves.iter_mut().flat_map(|wave| &mut wave.lanes).flat_map(|lane| &mut lane.steps);
    for step in steps {
        if let Action::Activate { instances, .. } = &step.action {
            step.undo = vec![Action::Activate { release: None, instances: instances.clone() }];
        }
    }
    plan
}

fn unwatched(host: &str, action: &Action, undo: bool) -> Option<(StepResult, f64)> {
    let failure = || Failure::new("web3 answered 14 of 212 requests with 5xx, the others 0 of 1,490");
    (host == "web3" && !undo && *action == Action::Watch).then(|| (StepResult::Failed(failure()), 5.0))
}

/// The same as a rollback: what is released had been there before.
fn rollback(mut plan: Plan) -> Plan {
    plan.verb = Verb::Rollback;
    plan.waves.retain(|wave| wave.phase != Phase::Prepare && wave.phase != Phase::Task);
    plan
}

pub fn refused() -> Failure {
    Failure {
        code: Some(22),
        output: (1..=24).map(|line| format!("app[4040]: boot line {line}")).collect(),
        help: Some("see the app's own log: journalctl -u app@4040".to_owned()),
        ..Failure::new("503 from http://127.0.0.1:4040/okcomputer on 5 of 5 tries")
    }
}

pub fn unhealthy(host: &str, action: &Action, undo: bool) -> Option<(StepResult, f64)> {
    (host == "web3" && !undo && matches!(action, Action::Health { .. })).then(|| (StepResult::Failed(refused()), 65.0))
}

fn slow_or_unhealthy(host: &str, action: &Action, undo: bool) -> Option<(StepResult, f64)> {
    match action {
        Action::Upload { .. } if host == "web77" => Some((StepResult::Ok("12.3 MB".to_owned()), 41.0)),
        Action::Drain if host == "web42" && !undo => {
            Some((StepResult::Unknown(Failure::new("the connection was lost, and ssh can't reach the host")), 31.0))
        }
        _ => None,
    }
}
