//! Scripts, and what becomes of them.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shipit::transport::{ExecError, Limits, Output, Progress, Script, Session, SshSession, Transport};

use super::sshd::{Sshd, host, kill};

const SOON: Duration = Duration::from_secs(20);

async fn run(session: &SshSession, body: &'static str) -> Result<Output, ExecError> {
    session.run(&Script::new(body), SOON, &Progress::unheard()).await
}

#[tokio::test]
async fn output_and_exit_code_come_back_as_they_were() {
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    for (body, code, stdout, stderr) in [
        ("echo hi; echo bad >&2", 0, "hi\n", "bad\n"),
        ("printf x; exit 7", 7, "x", ""),
        ("exit 127", 127, "", ""),
        ("exit 255", 255, "", ""),
        ("sh -c 'kill -9 $$' 2>/dev/null", 137, "", ""),
        ("cat; echo nothing to read", 0, "nothing to read\n", ""),
        ("printf '\\377'", 0, "\u{fffd}", ""),
    ] {
        let got = run(&session, body).await.unwrap();
        assert_eq!((got.code, &*got.stdout, &*got.stderr), (code, stdout, stderr), "{body}");
    }
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn a_greeting_of_the_login_shell_is_no_output() {
    let sshd =
        Sshd::with("ForceCommand echo Welcome; echo warn >&2; printf 'no break'; eval \"$SSH_ORIGINAL_COMMAND\"");
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let got = run(&session, "echo mine; exit 3").await.unwrap();
    assert_eq!(got, Output { code: 3, stdout: "mine\n".into(), stderr: String::new() });
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn an_account_without_a_shell_is_told_as_such() {
    let sshd = Sshd::with("ForceCommand echo 'This account is not available.' >&2; exit 1");
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let error = run(&session, "echo mine").await.unwrap_err();
    let ExecError::Lost(why) = error else { panic!("{error}") };
    assert_eq!(why, "the host's shell ended with exit status: 1 before the script did: This account is not available.");
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn progress_is_heard_while_the_script_runs() {
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    let progress = Progress::to(move |word| sink.lock().unwrap().push((word.to_owned(), Instant::now())));
    let script = Script::new("progress \"half $WHAT\"; sleep 1; progress whole; echo done").with("WHAT", "of it");
    let got = session.run(&script, SOON, &progress).await.unwrap();
    assert_eq!(got.stdout, "done\n");
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.iter().map(|(word, _)| &**word).collect::<Vec<_>>(), ["half of it", "whole"]);
    assert!(heard[1].1 - heard[0].1 > Duration::from_millis(700), "it is heard at once, not at the end");
    drop(heard);
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn output_without_end_fits_in_memory() {
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let got = run(&session, "head -c 50000000 /dev/zero; head -c 5000000 /dev/zero >&2; echo last >&2; exit 5")
        .await
        .unwrap();
    assert_eq!((got.code, got.stdout.len(), got.stderr.len()), (5, 1024 * 1024, 64 * 1024));
    assert!(got.stderr.ends_with("last\n"));
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn a_daemon_that_keeps_the_output_open_does_not_keep_us() {
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let began = Instant::now();
    assert_eq!(run(&session, "sleep 5 & echo started").await.unwrap().stdout, "started\n");
    assert!(began.elapsed() < Duration::from_secs(2));
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn a_script_that_hangs_is_left_at_the_deadline() {
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let began = Instant::now();
    let limit = Duration::from_millis(500);
    // More of them than sshd allows at once: each still holds its place when the next one comes.
    for _ in 0..12 {
        let got = session.run(&Script::new("sleep 4"), limit, &Progress::unheard()).await;
        assert_eq!(got, Err(ExecError::TimedOut(limit)));
    }
    assert!(began.elapsed() < Duration::from_secs(8));
    assert_eq!(run(&session, "echo well").await.unwrap().stdout, "well\n");
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn a_lost_connection_is_told_and_the_next_call_connects_again() {
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let run_on = async { run(&session, "echo begun; sleep 30").await };
    let cut = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        sshd.connections().into_iter().for_each(|pid| kill(pid, "KILL"));
    };
    let began = Instant::now();
    let (got, ()) = tokio::join!(run_on, cut);
    assert!(matches!(got, Err(ExecError::Lost(_))), "{got:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(run(&session, "echo again").await.unwrap().stdout, "again\n");
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn a_link_that_goes_silent_is_lost_and_a_host_that_is_gone_is_not_waited_for() {
    let sshd = Sshd::start();
    let second = Duration::from_secs(1);
    let limits =
        Limits { alive_interval: second, alive_count: 2, tcp: second, connect: 2 * second, ..Limits::default() };
    let ssh = sshd.transport_within(limits);
    let session = ssh.connect(&host("web1")).await.unwrap();
    sshd.connections().into_iter().for_each(|pid| kill(pid, "STOP"));
    let began = Instant::now();
    let got = run(&session, "echo never").await;
    let Err(ExecError::Lost(why)) = got else { panic!("{got:?}") };
    assert!(why.contains("not responding"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(6));
    drop(sshd);
    let Err(ExecError::Lost(why)) = run(&session, "echo never").await else { panic!() };
    assert!(why.contains("refused the connection"), "{why}");
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn twenty_at_once_on_one_session_all_run() {
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let all = (0..20).map(|number| {
        let script = Script::new("sleep 0.2; echo \"$N\"").with("N", number.to_string());
        let session = &session;
        async move { session.run(&script, SOON, &Progress::unheard()).await.unwrap().stdout }
    });
    let got = futures::future::join_all(all).await;
    assert_eq!(got, (0..20).map(|number| format!("{number}\n")).collect::<Vec<_>>());
    assert_eq!(sshd.connections().len(), 1);
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn nothing_of_a_script_shows_among_the_processes() {
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let script = Script::new(
        "for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <\"$p\"; done 2>/dev/null; printf %s \"$SECRET\" | wc -c",
    )
    .with("SECRET", "correct horse battery");
    let got = session.run(&script, SOON, &Progress::unheard()).await.unwrap();
    assert!(got.stdout.contains("sshd") && got.stdout.trim_end().ends_with("21"));
    assert!(!got.stdout.contains("correct horse"));
    assert!(fs::read_to_string(sshd.path("sshd.log")).is_ok_and(|log| !log.contains("correct horse")));
    session.close().await;
    ssh.close().await;
}
