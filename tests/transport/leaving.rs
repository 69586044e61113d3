//! What is left on this machine afterwards: nothing.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use shipit::model::SshSpec;
use shipit::transport::{OpenSsh, Progress, Script, Session, Transport};

use super::sshd::{Sshd, host, processes};

/// Set in the process that is to be killed: the ssh configuration that it uses.
const VICTIM: &str = "SHIPIT_TEST_VICTIM";

/// The control directories of the process `pid`.
fn directories(pid: u32) -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let parents = [PathBuf::from("/tmp")].into_iter().chain(runtime);
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("shipit-") && name.split('-').skip(1).any(|part| part == pid.to_string())
    };
    parents
        .flat_map(|parent| fs::read_dir(parent).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(ours)
        .collect()
}

/// The processes that have `word` in their command line.
fn with_word(word: &str) -> Vec<String> {
    processes().into_iter().map(|(.., line)| line).filter(|line| line.contains(word)).collect()
}

#[tokio::test]
async fn after_a_close_nothing_is_left() {
    let sshd = Sshd::start();
    let before = directories(std::process::id());
    let ssh = sshd.transport();
    let session = ssh.connect(&host("left-by-close")).await.unwrap();
    let mine: Vec<_> = directories(std::process::id()).into_iter().filter(|dir| !before.contains(dir)).collect();
    assert!(!mine.is_empty());
    assert_eq!(with_word("left-by-close").len(), 1);
    let began = Instant::now();
    session.close().await;
    assert_eq!(with_word("left-by-close"), Vec::<String>::new());
    ssh.close().await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Directories of tests that run beside this one may be among them; they go too.
    let until = Instant::now() + Duration::from_secs(20);
    while mine.iter().any(|dir| dir.exists()) {
        assert!(Instant::now() < until, "{mine:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_ctrl_c_at_the_terminal_does_not_reach_ssh() {
    let group = |pid: u32| -> u32 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(2).unwrap().parse().unwrap()
    };
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    let session = ssh.connect(&host("not-by-ctrl-c")).await.unwrap();
    let (master, ..) = processes().into_iter().find(|(.., line)| line.contains("not-by-ctrl-c")).unwrap();
    assert_ne!(group(master), group(std::process::id()));
    let (.., leash) = processes().into_iter().find(|(pid, ..)| *pid == group(master)).unwrap();
    assert!(leash.contains("shipit-leash"), "{leash}");
    session.close().await;
    ssh.close().await;
}

#[tokio::test]
async fn a_session_that_is_dropped_takes_its_ssh_along() {
    let sshd = Sshd::start();
    let ssh = sshd.transport();
    drop(ssh.connect(&host("left-by-drop")).await.unwrap());
    let until = Instant::now() + Duration::from_secs(5);
    while !with_word("left-by-drop").is_empty() {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ssh.close().await;
}

#[tokio::test]
async fn after_a_kill_nothing_is_left() {
    let sshd = Sshd::start();
    // Behind a jump host, whose ssh is a process too.
    sshd.client_config("login", "Host left-by-kill\n  ProxyJump jump-by-kill\n");
    let tmp = sshd.path("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .env("TMPDIR", &tmp)
        .args(["--exact", "leaving::the_one_that_is_killed", "--ignored"])
        .env(VICTIM, sshd.path("client"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !sshd.path("running").exists() {
        assert!(Instant::now() < until && victim.try_wait().unwrap().is_none());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(with_word("by-kill").len(), 2, "the master and its way through the jump host");
    assert_eq!(directories(victim.id()).len(), 1);
    assert_eq!(tmp.read_dir().unwrap().count(), 1, "what is sent to hosts");
    victim.kill().unwrap();
    victim.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while !(with_word("by-kill").is_empty() && directories(victim.id()).is_empty()) {
        assert!(Instant::now() < until, "{:?} {:?}", with_word("by-kill"), directories(victim.id()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let leash = format!("-{}", victim.id());
    let until = Instant::now() + Duration::from_secs(5);
    while processes().iter().any(|(.., line)| line.contains("shipit-leash") && line.contains(&leash)) {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(tmp.read_dir().unwrap().count(), 0);
}

#[tokio::test]
#[ignore = "run by `after_a_kill_nothing_is_left`"]
async fn the_one_that_is_killed() {
    let Some(config) = std::env::var_os(VICTIM).map(PathBuf::from) else { return };
    let running = config.with_file_name("running");
    let ssh = OpenSsh::start(&SshSpec { user: None, config: Some(config) }).unwrap();
    let session = ssh.connect(&host("left-by-kill")).await.unwrap();
    std::fs::write(ssh.scratch().join("archive"), "packed").unwrap();
    let script = Script::new(": >\"$RUNNING\"; sleep 60").with("RUNNING", running.to_string_lossy());
    session.run(&script, Duration::from_mins(1), &Progress::unheard()).await.ok();
}
