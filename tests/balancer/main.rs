//! The balancer layer against real haproxies on this machine.

mod app;
mod back;
mod rig;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use rig::{Forwarding, Local, PATIENT, Rig, SOON, Setup, Words, eventually, get};
use shipit::balancer::{BalancerError, Balancers};
use shipit::model::{DrainSpec, Leftover, Reach, ServerState, Until};
use shipit::transport::Progress;
use tokio::task::{JoinHandle, JoinSet};

const TWO: &[&str] = &["admin", "admin"];

/// Requests one after the other until the task is aborted; counts those that failed.
fn hammer(rig: &Rig, number: usize, cookie: &'static str) -> (JoinHandle<()>, Arc<std::sync::atomic::AtomicUsize>) {
    let failed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (frontend, count) = (rig.frontend(number), failed.clone());
    let task = tokio::spawn(async move {
        loop {
            if get(frontend.clone(), "/", cookie).await.status != 200 {
                count.fetch_add(1, SeqCst);
            }
        }
    });
    (task, failed)
}

#[tokio::test]
async fn what_is_there_is_observed() {
    let rig = Rig::start(Setup { levels: TWO, ..Setup::default() }).await;
    let facts = rig.balancers().observe().await;
    assert_eq!(facts.len(), 2);
    for facts in &facts {
        assert_eq!((&facts.reach, facts.problems.as_slice()), (&Reach::Reached, [].as_slice()));
        let web1 = &facts.servers["web1"];
        assert!(web1.serves() && web1.checked && !web1.sticky);
        assert_eq!((web1.status.as_str(), web1.address.as_str()), ("UP", "127.0.0.1"));
    }
    let view = rig.balancers().serving().await.unwrap();
    assert_eq!(view.serving.into_iter().map(String::from).collect::<Vec<_>>(), ["web1", "web2"]);
    rig.runtime(2, "set server app/web1 state drain").await;
    let view = rig.balancers().serving().await.unwrap();
    assert_eq!(view.serving.into_iter().map(String::from).collect::<Vec<_>>(), ["web2"]);
}

#[tokio::test]
async fn what_stands_in_the_way_is_named() {
    let mut rig = Rig::start(Setup { levels: &["operator"], ..Setup::default() }).await;
    let facts = rig.balancers().observe().await;
    assert!(facts[0].problems[0].what.contains("level `operator`"), "{facts:?}");
    rig.inventory.balancers[0].backend = "apq".parse().unwrap();
    let facts = rig.balancers().observe().await;
    assert!(facts[0].problems[1].what.contains("no backend `apq`"), "{facts:?}");
    rig.inventory.vars.insert("dir".to_owned(), "/nowhere".to_owned());
    let facts = rig.balancers().observe().await;
    assert!(matches!(&facts[0].reach, Reach::Unreachable(why) if why.contains("/nowhere/lb1.sock")), "{facts:?}");
    assert!(facts[0].problems[0].help.as_ref().unwrap().contains("AllowStreamLocalForwarding"));
    assert!(rig.balancers().serving().await.is_err());
}

#[tokio::test]
async fn a_drain_waits_for_the_request_in_flight_and_loses_none() {
    let rig = Rig::start(Setup { levels: TWO, ..Setup::default() }).await;
    let requests = rig.in_flight(2, "/hold").await;
    let (balancers, words) = (rig.balancers(), Words::default());
    let progress = words.progress();
    let release = async {
        words.wait_for("1 request in flight, 9s left").await;
        assert_eq!(rig.states().await, [ServerState::Drain; 2]);
        for number in [1, 2, 1, 2] {
            assert_eq!(rig.get(number, "/", "").await.server, "web2");
        }
        rig.web1.release();
    };
    let (drained, ()) = tokio::join!(balancers.drain(rig.host("web1"), PATIENT, &progress), release);
    assert_eq!((drained.as_ref().unwrap().cut, drained.unwrap().old_processes), (0, 0));
    rig.web2.release();
    for request in requests {
        assert_eq!(request.await.unwrap().status, 200);
    }
    // What is drained stays so, however often it is asked for.
    balancers.drain(rig.host("web1"), PATIENT, &progress).await.unwrap();
    assert_eq!(rig.states().await, [ServerState::Drain; 2]);
    balancers.enable(rig.host("web1"), Until::Up, SOON, &progress).await.unwrap();
    assert_eq!(rig.states().await, [ServerState::Ready; 2]);
}

#[tokio::test]
async fn a_server_that_one_balancer_does_not_know_is_drained_nowhere() {
    let rig = Rig::start(Setup { levels: TWO, first_server: "web01", ..Setup::default() }).await;
    let fault = rig.balancers().drain(rig.host("web1"), PATIENT, &Progress::unheard()).await.unwrap_err();
    assert_eq!(fault.to_string(), "backend `app` on `lb2` has no server `web1`");
    assert!(fault.help().unwrap().starts_with("did you mean `web01`?"));
    assert_eq!(rig.state(1, "web1").await, ServerState::Ready);
}

#[tokio::test]
async fn what_one_balancer_refuses_is_undone_on_the_other() {
    let rig = Rig::start(Setup { levels: &["admin", "operator"], ..Setup::default() }).await;
    let fault = rig.balancers().drain(rig.host("web1"), PATIENT, &Progress::unheard()).await.unwrap_err();
    assert!(matches!(&fault, BalancerError::Refused { answer, .. } if answer == "Permission denied"), "{fault:?}");
    assert!(fault.help().unwrap().contains("level admin"));
    assert_eq!(rig.states().await, [ServerState::Ready; 2]);
}

#[tokio::test]
async fn sticky_clients_are_sent_elsewhere_and_lose_nothing() {
    let backend = "option httpchk GET /health\n  cookie SRV insert indirect nocache";
    let server = "check inter 100ms fall 2 rise 2 cookie %";
    let rig = Rig::start(Setup { backend, server, ..Setup::default() }).await;
    let (client, failed) = hammer(&rig, 1, "SRV=web1");
    eventually("the client sticks", async || rig.web1.requests() > 5).await;
    let balancers = rig.balancers();
    balancers.drain(rig.host("web1"), PATIENT, &Progress::unheard()).await.unwrap();
    assert_eq!(rig.state(1, "web1").await, ServerState::Maint);
    let before = (rig.web1.requests(), rig.web2.requests());
    eventually("the client is served elsewhere", async || rig.web2.requests() > before.1 + 5).await;
    assert_eq!(rig.web1.requests(), before.0);
    balancers.enable(rig.host("web1"), Until::Up, SOON, &Progress::unheard()).await.unwrap();
    assert_eq!(rig.state(1, "web1").await, ServerState::Ready);
    client.abort();
    assert_eq!(failed.load(SeqCst), 0);
}

#[tokio::test]
async fn clients_that_stick_without_a_cookie_are_noticed() {
    let backend = "option httpchk GET /health\n  stick-table type string size 10 expire 60s\n  stick on path";
    let rig = Rig::start(Setup { backend, ..Setup::default() }).await;
    let sticks_to = rig.get(1, "/", "").await.server;
    let (client, failed) = hammer(&rig, 1, "");
    rig.balancers().drain(rig.host(&sticks_to), PATIENT, &Progress::unheard()).await.unwrap();
    assert_eq!(rig.state(1, &sticks_to).await, ServerState::Maint);
    client.abort();
    assert_eq!(failed.load(SeqCst), 0);
}

#[tokio::test]
async fn a_reload_by_somebody_else_is_noticed_and_its_old_process_waited_for() {
    let rig = Rig::start(Setup { levels: TWO, ..Setup::default() }).await;
    let requests = rig.in_flight(1, "/hold").await;
    let (balancers, words) = (rig.balancers(), Words::default());
    let progress = words.progress();
    let meanwhile = async {
        words.wait_for("1 request in flight").await;
        rig.reload(1).await;
        words.wait_for("haproxy on lb1 was reloaded").await;
        words.wait_for("an old process of haproxy is not gone").await;
        assert_eq!(rig.states().await, [ServerState::Drain; 2]);
        assert_eq!(rig.web1.page.held.load(SeqCst), 1);
        rig.web1.release();
        rig.web2.release();
    };
    let (drained, ()) = tokio::join!(balancers.drain(rig.host("web1"), PATIENT, &progress), meanwhile);
    assert_eq!(drained.unwrap().old_processes, 0);
    assert_eq!(rig.states().await, [ServerState::Drain; 2]);
    assert_eq!(rig.web1.page.held.load(SeqCst), 0);
    for request in requests {
        assert_eq!(request.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn the_old_process_of_a_reload_before_the_drain_is_waited_for() {
    let rig = Rig::start(Setup::default()).await;
    let requests = rig.in_flight(1, "/hold").await;
    rig.reload(1).await;
    let (balancers, words) = (rig.balancers(), Words::default());
    let progress = words.progress();
    let release = async {
        words.wait_for("an old process of haproxy is not gone").await;
        rig.web1.release();
        rig.web2.release();
    };
    let (drained, ()) = tokio::join!(balancers.drain(rig.host("web1"), PATIENT, &progress), release);
    drained.unwrap();
    for request in requests {
        assert_eq!(request.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn what_outlives_the_drain_is_left_alone_or_cut() {
    let rig = Rig::start(Setup { levels: TWO, ..Setup::default() }).await;
    let streams = rig.in_flight(1, "/stream").await;
    let (balancers, host) = (rig.balancers(), rig.host("web1"));
    let spec = |leftover| DrainSpec { timeout: Duration::from_millis(500), leftover };
    let fault = balancers.drain(host, spec(Leftover::Abort), &Progress::unheard()).await.unwrap_err();
    assert!(matches!(fault, BalancerError::StillBusy { left: 1, .. }), "{fault:?}");
    assert_eq!(rig.states().await, [ServerState::Ready; 2]);
    assert_eq!(rig.web1.page.held.load(SeqCst), 1);
    let drained = balancers.drain(host, spec(Leftover::Cut), &Progress::unheard()).await.unwrap();
    assert_eq!(drained.cut, 1);
    assert_eq!(rig.states().await, [ServerState::Drain; 2]);
    assert!(rig.web2.page.held.load(SeqCst) == 1, "the other server's stream goes on");
    streams.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_host_that_fails_more_than_its_siblings_is_noticed() {
    let rig = Rig::start(Setup { levels: TWO, ..Setup::default() }).await;
    let (balancers, host) = (rig.balancers(), rig.host("web1"));
    let (client, _) = hammer(&rig, 1, "");
    let report = balancers.watch(host, Duration::from_millis(600)).await.unwrap();
    assert!(report.own.requests > 3 && report.siblings.requests > 3 && report.own.faults == 0, "{report:?}");
    // As bad as the others is not worse.
    rig.web1.page.status.store(500, SeqCst);
    rig.web2.page.status.store(500, SeqCst);
    let report = balancers.watch(host, Duration::from_millis(600)).await.unwrap();
    assert!(report.own.faults > 3, "{report:?}");
    rig.web2.page.status.store(200, SeqCst);
    let fault = balancers.watch(host, SOON).await.unwrap_err();
    assert!(matches!(fault, BalancerError::Faulty { .. }), "{fault:?}");
    rig.runtime(2, "set server app/web1 state maint").await;
    let fault = balancers.watch(host, SOON).await.unwrap_err();
    assert!(matches!(&fault, BalancerError::Left { status, .. } if status == "MAINT"), "{fault:?}");
    client.abort();
}

#[tokio::test]
async fn a_frontend_of_the_same_name_hides_nothing() {
    let rig = Rig::start(Setup { frontend: "app", server: "", ..Setup::default() }).await;
    let facts = rig.balancers().observe().await;
    assert_eq!(facts[0].servers["web1"].status, "no check");
    rig.balancers().drain(rig.host("web1"), PATIENT, &Progress::unheard()).await.unwrap();
    rig.balancers().enable(rig.host("web1"), Until::Up, SOON, &Progress::unheard()).await.unwrap();
    assert_eq!(rig.states().await, [ServerState::Ready]);
}

#[tokio::test]
async fn hosts_that_look_at_the_same_time_share_their_looks() {
    let rig = Rig::start(Setup::default()).await;
    let tools = tempfile::tempdir().unwrap();
    symlink("/usr/bin/perl", tools.path().join("perl")).unwrap();
    let session =
        Arc::new(Local { forward: Forwarding::Refused, path: Some(tools.path().to_owned()), ..Local::default() });
    let balancers = Arc::new(rig.balancers_by(&session));
    let mut looks = JoinSet::new();
    for _ in 0..50 {
        let balancers = balancers.clone();
        looks.spawn(async move { balancers.serving().await.unwrap().serving.len() });
    }
    assert_eq!(looks.join_all().await, [2; 50]);
    // The search for a way, the round that the first one began, and the one that all others share.
    assert!(session.scripts.lock().unwrap().len() <= 4, "{}", session.scripts.lock().unwrap().len());
}

#[tokio::test]
async fn without_a_forward_a_program_on_the_host_carries_the_words() {
    let rig = Rig::start(Setup::default()).await;
    for (tool, forward) in
        [("socat", Forwarding::Refused), ("python3", Forwarding::Silent), ("perl", Forwarding::Refused)]
    {
        let tools = tempfile::tempdir().unwrap();
        let program = if tool == "python3" { python() } else { format!("/usr/bin/{tool}") };
        symlink(program, tools.path().join(tool)).unwrap();
        let session = Arc::new(Local { path: Some(tools.path().to_owned()), forward, ..Local::default() });
        let balancers = rig.balancers_by(&session);
        assert_eq!(balancers.serving().await.unwrap().serving.len(), 2, "{tool}");
        balancers.drain(rig.host("web1"), PATIENT, &Progress::unheard()).await.unwrap();
        assert_eq!(rig.states().await, [ServerState::Drain], "{tool}");
        balancers.enable(rig.host("web1"), Until::Up, SOON, &Progress::unheard()).await.unwrap();
        let searches = session.scripts.lock().unwrap().iter().filter(|text| text.contains("WAY=''")).count();
        assert_eq!(searches, 1, "the way is searched for once");
    }
}

#[tokio::test]
async fn sudo_is_the_last_resort_and_a_dead_end_names_all_that_was_tried() {
    let rig = Rig::start(Setup::default()).await;
    let tools = tempfile::tempdir().unwrap();
    let tool = |name: &str, text: &str| {
        let path = tools.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    tool("perl", "[ -n \"$BY_SUDO\" ] && exec /usr/bin/perl \"$@\"\necho 'Permission denied' >&2\nexit 1");
    let session =
        || Arc::new(Local { path: Some(tools.path().to_owned()), forward: Forwarding::Refused, ..Local::default() });
    let fault = rig.balancers_by(&session()).serving().await.unwrap_err();
    let said = fault.to_string();
    for part in ["socat: not installed", "perl: Permission denied", "sudo: not installed", "forwarding refused"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(fault.help().unwrap().contains("group"));
    tool("sudo", "[ \"$1\" = -n ] && shift\nBY_SUDO=1 exec \"$@\"");
    assert_eq!(rig.balancers_by(&session()).serving().await.unwrap().serving.len(), 2);
}

/// The interpreter itself: a version manager's stand-in for it needs the usual `PATH`.
fn python() -> String {
    let out = std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_balancer_that_is_gone_stops_a_drain_but_not_the_way_back() {
    let rig = Rig::start(Setup { levels: TWO, ..Setup::default() }).await;
    let session = Arc::new(Local::default());
    let lonely = Balancers::new(&rig.inventory, |host| (host.as_str() == "lb1").then(|| session.clone()));
    let host = rig.host("web1");
    let fault = lonely.drain(host, PATIENT, &Progress::unheard()).await.unwrap_err();
    assert_eq!(fault.to_string(), "haproxy on `lb2` does not answer: there is no connection to the host");
    assert_eq!(rig.states().await, [ServerState::Ready; 2]);
    rig.balancers().drain(host, PATIENT, &Progress::unheard()).await.unwrap();
    lonely.enable(host, Until::Ready, SOON, &Progress::unheard()).await.unwrap_err();
    assert_eq!(rig.states().await, [ServerState::Ready, ServerState::Drain]);
}

#[tokio::test]
async fn with_one_balancer_gone_the_other_still_tells_who_serves() {
    let rig = Rig::start(Setup { levels: TWO, ..Setup::default() }).await;
    rig.runtime(1, "set server app/web2 state drain").await;
    let session = Arc::new(Local::default());
    let lonely = Balancers::new(&rig.inventory, |host| (host.as_str() == "lb1").then(|| session.clone()));
    let (view, fault) = lonely.serving_as_far_as_seen().await;
    assert_eq!(view.serving.into_iter().map(String::from).collect::<Vec<_>>(), ["web1"]);
    assert!(fault.unwrap().to_string().contains("`lb2` does not answer"));
    let taken = lonely.taken_out(rig.host("web1")).await;
    assert!(taken.is_err(), "a server may be out where nobody can look");
    let taken = rig.balancers().taken_out(rig.host("web2")).await.unwrap();
    assert_eq!(taken.unwrap().to_string(), "`app/web2` on `lb1` is in drain: somebody took it out meanwhile");
}

#[tokio::test]
async fn an_operator_who_takes_a_draining_server_back_is_obeyed() {
    let rig = Rig::start(Setup::default()).await;
    let requests = rig.in_flight(1, "/hold").await;
    // Only when the last reload is long enough ago can `ready` be nobody's but an operator's.
    let settled = async || {
        let info = rig.runtime(1, "show info").await;
        info.lines()
            .find_map(|line| line.strip_prefix("Uptime_sec: "))
            .is_some_and(|uptime| uptime.parse::<u32>().unwrap() > 2)
    };
    eventually("haproxy has settled", settled).await;
    let (balancers, words) = (rig.balancers(), Words::default());
    let progress = words.progress();
    let operator = async {
        words.wait_for("1 request in flight").await;
        rig.runtime(1, "set server app/web1 state ready").await;
    };
    let (drained, ()) = tokio::join!(balancers.drain(rig.host("web1"), PATIENT, &progress), operator);
    assert!(matches!(drained, Err(BalancerError::NotHeld { found: ServerState::Ready, .. })), "{drained:?}");
    assert_eq!(rig.states().await, [ServerState::Ready]);
    requests.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn what_somebody_else_has_taken_out_is_waited_for_and_not_taken_out_again() {
    let rig = Rig::start(Setup { levels: TWO, ..Setup::default() }).await;
    let requests = rig.in_flight(1, "/hold").await;
    for number in [1, 2] {
        rig.runtime(number, "set server app/web1 state drain").await;
    }
    let (balancers, words) = (rig.balancers(), Words::default());
    let progress = words.progress();
    let meanwhile = async {
        words.wait_for("1 request in flight").await;
        rig.reload(1).await;
    };
    let (waited, ()) = tokio::join!(balancers.await_last(rig.host("web1"), PATIENT, &progress), meanwhile);
    assert!(matches!(waited, Err(BalancerError::NotHeld { found: ServerState::Ready, .. })), "{waited:?}");
    assert_eq!(rig.states().await, [ServerState::Ready, ServerState::Drain]);
    requests.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_forward_that_ended_with_its_connection_is_made_again() {
    let rig = Rig::start(Setup::default()).await;
    let links = tempfile::tempdir().unwrap();
    let session = Arc::new(Local { links: Some(links.path().to_owned()), ..Local::default() });
    let balancers = rig.balancers_by(&session);
    assert_eq!(balancers.serving().await.unwrap().serving.len(), 2);
    // It leads nowhere now, and its name is taken: the next one has another.
    let first = links.path().join("0");
    std::fs::remove_file(&first).unwrap();
    symlink("/nowhere", &first).unwrap();
    assert_eq!(balancers.serving().await.unwrap().serving.len(), 2);
    assert!(session.scripts.lock().unwrap().is_empty());
}
