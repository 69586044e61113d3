//! Fleets of real servers: that they serve, and that nothing is left of them.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use lab::fleet::{Fleet, Spec, strangers};
use lab::process::Process;

/// A fleet that serves a release which was put there by hand.
fn serving_fleet(name: &str) -> Fleet {
    let fleet = Fleet::renew(Spec { hosts: 2, balancers: 2, ..Spec::named(name) }).unwrap();
    for host in &fleet.web {
        install(&fleet, host, "first");
        for port in fleet.spec.ports() {
            fleet.appctl("start", &host.name, port).unwrap();
        }
    }
    fleet.await_servers_up(Duration::from_secs(20)).unwrap();
    fleet
}

fn install(fleet: &Fleet, host: &lab::fleet::Host, release: &str) {
    let directory = host.srv().join("releases").join(release);
    fs::create_dir_all(&directory).unwrap();
    fs::copy(fleet.layout.project().join("app/app.toml"), directory.join("app.toml")).unwrap();
    fs::write(directory.join("version"), release).unwrap();
    let _ = fs::remove_file(host.srv().join("current"));
    symlink(format!("releases/{release}"), host.srv().join("current")).unwrap();
}

fn versions(fleet: &Fleet) -> Vec<Option<String>> {
    fleet.instances().into_iter().map(|instance| instance.version).collect()
}

#[test]
fn a_fleet_serves_and_goes_without_a_trace() {
    let fleet = serving_fleet("test-serves");
    assert_eq!(versions(&fleet), vec![Some("first".to_owned()); 4]);
    assert!(strangers(&fleet).is_empty());
    let root = fleet.layout.root.clone();
    fleet.down().unwrap();
    assert!(!root.exists());
    let path = root.to_string_lossy().into_owned();
    assert!(Process::all().into_iter().all(|process| !process.command_line().contains(&path)));
}

#[test]
fn a_restart_takes_up_the_release_that_current_names() {
    let fleet = serving_fleet("test-restarts");
    let host = &fleet.web[0];
    install(&fleet, host, "second");
    fleet.appctl("restart", &host.name, 4040).unwrap();
    let served = |release: &str| versions(&fleet)[0].as_deref() == Some(release);
    let second = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        served("second")
    });
    assert!(second, "{:?}", versions(&fleet));
    assert_eq!(versions(&fleet)[1].as_deref(), Some("first"), "the other instance goes on");
    fleet.down().unwrap();
}

#[test]
fn whoever_stays_on_a_host_is_noticed_and_goes_with_the_fleet() {
    let fleet = serving_fleet("test-strangers");
    let config = fleet.layout.ssh_config();
    let left = "setsid sleep 1000 < /dev/null > /dev/null 2>&1 &";
    let status = Command::new("ssh").arg("-F").arg(&config).args(["web1", left]).stdin(Stdio::null()).status().unwrap();
    assert!(status.success());
    let sleeper = strangers(&fleet).into_iter().find(|stranger| stranger.command == "sleep 1000");
    let sleeper = sleeper.expect("the process left behind is found").process;
    fleet.down().unwrap();
    assert!(!sleeper.is_alive());
}

#[test]
fn a_pid_file_with_another_start_time_names_nobody() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{} 1\n", std::process::id())).unwrap();
    assert_eq!(Process::recorded(file.path()), None);
}
