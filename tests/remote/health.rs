//! When an instance counts as healthy.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use shipit::model::{ReleaseProof, Template};

use crate::app::{App, listen, listen_together};
use crate::rig::{NEW, OLD, Rig, Shell, shells};

/// Waits in vain for a release; not for long.
#[track_caller]
fn never(rig: &mut Rig, release: &str) -> String {
    rig.recipe.health.deadline = Duration::from_secs(1);
    let failed = rig.health(release).failed();
    rig.recipe.health.deadline = Duration::from_secs(20);
    failed
}

/// A host with both releases, and a port for one instance.
fn host(shell: &Shell, address: &str, url: &str) -> (Rig, TcpListener, [PathBuf; 2]) {
    let mut rig = Rig::new(shell);
    let (listener, port) = listen(address);
    rig.instances(&[port]);
    rig.recipe.health.url = Template::parse(url).unwrap();
    let releases = [rig.release(OLD), rig.release(NEW)];
    (rig, listener, releases)
}

const UP: &str = "http://127.0.0.1:{port}/up";

#[test]
fn an_instance_of_the_release_that_answers_is_healthy() {
    for shell in shells() {
        for (address, url) in [
            ("127.0.0.1", UP),
            ("0.0.0.0", UP),
            ("::", UP),
            ("::1", "http://[::1]:{port}/up"),
            ("::", "http://[::1]:{port}/up"),
            ("::1", "http://localhost:{port}/up"),
            ("127.0.0.1", "http://localhost:{port}/up?release={release}"),
        ] {
            let (rig, listener, [_, new]) = host(&shell, address, url);
            let _app = App::start(&new, &listener);
            drop(listener);
            let done = rig.health(NEW);
            assert!(done.ok().starts_with("healthy after"), "{} {address} {url}", shell.name);
        }
    }
}

#[test]
fn an_instance_that_passes_at_the_deadline_is_let_finish() {
    for shell in shells() {
        let (mut rig, listener, [_, new]) = host(&shell, "127.0.0.1", UP);
        let _app = App::start(&new, &listener);
        drop(listener);
        let health = &mut rig.recipe.health;
        (health.deadline, health.interval, health.passes) = (Duration::from_secs(1), Duration::from_millis(700), 3);
        assert!(rig.health(NEW).ok().starts_with("healthy after"), "{}", shell.name);
    }
}

#[test]
fn the_old_process_does_not_pass_for_the_new_one() {
    for shell in shells() {
        let (mut rig, listener, [old, _]) = host(&shell, "127.0.0.1", UP);
        let _app = App::start(&old, &listener);
        drop(listener);
        let failed = never(&mut rig, NEW);
        assert!(failed.contains(&format!("healthy, but runs {OLD}, from http://127.0.0.1:")), "{failed}");
        rig.health(OLD).ok();
    }
}

#[test]
fn an_executable_names_its_release_too() {
    for shell in shells() {
        let (rig, listener, [_, new]) = host(&shell, "127.0.0.1", UP);
        let _app = App::start_executable(&new.join("app"), &listener);
        drop(listener);
        rig.health(NEW).ok();
    }
}

#[test]
fn a_process_that_restarts_between_passes_begins_anew() {
    for shell in shells() {
        let (mut rig, listener, [_, new]) = host(&shell, "127.0.0.1", UP);
        // Four seconds of one life at least, and no life is that long, also where all is slow.
        rig.recipe.health.passes = 40;
        rig.recipe.health.interval = Duration::from_millis(100);
        rig.recipe.health.deadline = Duration::from_secs(3);
        thread::scope(|scope| {
            // Up at once each time, and down again long before its last pass.
            let looping = scope.spawn(|| {
                for _ in 0..6 {
                    let app = App::start(&new, &listener);
                    thread::sleep(Duration::from_millis(700));
                    drop(app);
                }
            });
            let failed = rig.health(NEW).failed();
            // A life that ends between the answer and the look at the process leaves nobody to look at.
            let words = ["did not get healthy in 3s", "no release that can be told"];
            assert!(words.iter().any(|one| failed.contains(one)), "{failed}");
            looping.join().unwrap();
        });
        rig.recipe.health.deadline = Duration::from_secs(20);
        rig.recipe.health.passes = 2;
        let _app = App::start(&new, &listener);
        drop(listener);
        rig.health(NEW).ok();
    }
}

#[test]
fn one_that_never_answers_is_told_with_its_log() {
    for shell in shells() {
        let (mut rig, listener, [_, new]) = host(&shell, "127.0.0.1", UP);
        rig.recipe.app.logs =
            Some(Template::parse("echo \"log of $SHIPIT_PORT on $SHIPIT_HOST: it's {port}\"").unwrap());
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        rig.recipe.health.deadline = Duration::from_secs(1);
        let done = rig.health(NEW);
        let failed = done.failed();
        assert!(
            failed.starts_with(&format!(
                "instance {port} did not get healthy in 1s: nothing listens on port {port}, from"
            )),
            "{failed}"
        );
        assert_eq!(done.stderr, format!("log of {port} on web1: it's {port}\n"));
        for (path, reason) in [
            ("say/503", "HTTP 503"),
            ("slow/3000", "no answer in time"),
            ("cut", "transfer closed"),
            ("say/301", "HTTP 301"),
        ] {
            rig.recipe.health.url = Template::parse(&format!("http://127.0.0.1:{{port}}/{path}")).unwrap();
            rig.recipe.health.timeout = Duration::from_secs(1);
            let (listener, port) = listen("127.0.0.1");
            rig.instances(&[port]);
            let _app = App::start(&new, &listener);
            drop(listener);
            let failed = never(&mut rig, NEW);
            assert!(failed.contains(reason), "{}: {path}: {failed}", shell.name);
        }
        rig.assert_tidy();
    }
}

#[test]
fn an_app_may_name_its_release_itself() {
    for shell in shells() {
        for proof in [ReleaseProof::Header("X-Release".to_owned()), ReleaseProof::Body] {
            let (mut rig, listener, [_, new]) = host(&shell, "127.0.0.1", UP);
            rig.recipe.health.release = proof.clone();
            let app = App::start(&new, &listener);
            rig.health(NEW).ok();
            let failed = never(&mut rig, OLD);
            assert!(failed.contains(&format!("healthy, but runs {NEW}, from")), "{failed}");
            drop(app);
            let _app = App::start(rig.dir.path(), &listener);
            drop(listener);
            let failed = never(&mut rig, NEW);
            assert!(failed.contains("no release that can be told"), "{failed}");
            assert!(failed.contains("of the health page hold the release's id, such as"), "{failed}");
        }
    }
}

#[test]
fn a_process_of_no_release_is_told_with_the_ways_out() {
    for shell in shells() {
        let (mut rig, listener, _) = host(&shell, "127.0.0.1", UP);
        let _app = App::start(rig.dir.path(), &listener);
        drop(listener);
        let failed = never(&mut rig, NEW);
        assert!(
            failed.contains("the process that listens there works in no release")
                && failed.contains("header:X-Release"),
            "{failed}"
        );
    }
}

#[test]
fn several_releases_on_one_port_are_no_answer() {
    for shell in shells() {
        let (mut rig, _, [old, new]) = host(&shell, "127.0.0.1", UP);
        let (first, port) = listen_together(0);
        let (second, _) = listen_together(port);
        rig.instances(&[port]);
        let (old, _new) = (App::start(&old, &first), App::start(&new, &second));
        drop((first, second));
        let failed = never(&mut rig, NEW);
        assert!(failed.contains(OLD) && failed.contains(NEW), "{failed}");
        drop(old);
        rig.health(NEW).ok();
    }
}

#[test]
fn workers_share_a_socket() {
    for shell in shells() {
        let (rig, listener, [_, new]) = host(&shell, "127.0.0.1", UP);
        let _workers: Vec<_> = (0..4).map(|_| App::start(&new, &listener)).collect();
        drop(listener);
        rig.health(NEW).ok();
    }
}

#[test]
fn a_release_that_was_removed_is_known_by_its_name() {
    for shell in shells() {
        let (rig, listener, [old, _]) = host(&shell, "127.0.0.1", UP);
        let _app = App::start(&old, &listener);
        drop(listener);
        fs::remove_dir_all(old).unwrap();
        rig.health(OLD).ok();
    }
}

#[test]
fn all_instances_are_waited_for_at_once_and_one_failure_is_enough() {
    for shell in shells() {
        let (mut rig, listener, [_, new]) = host(&shell, "127.0.0.1", UP);
        let _app = App::start(&new, &listener);
        let nobody = listen("127.0.0.1").1;
        rig.instances(&[listener.local_addr().unwrap().port(), nobody]);
        drop(listener);
        let failed = never(&mut rig, NEW);
        assert!(failed.contains(&format!("instance {nobody} did not")), "{failed}");
    }
}

#[test]
fn where_the_process_is_another_users_its_socket_tells() {
    if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) != 0) {
        eprintln!("only root can be two users");
        return;
    }
    for shell in shells() {
        let (mut rig, listener, [old, new]) = host(&shell, "127.0.0.1", UP);
        rig.point_current_at(OLD);
        rig.give_to_nobody();
        let address = listener.local_addr().unwrap();
        let app = App::start(&old, &listener);
        // The restart did nothing: whoever listens listened before.
        rig.activate(Some(NEW)).ok();
        let failed = never(&mut rig, NEW);
        assert!(
            failed.contains("may not be looked at") && failed.contains("run shipit as the app's user"),
            "{}: {failed}",
            shell.name
        );
        drop((app, listener));
        let listener = TcpListener::bind(address).unwrap();
        let _app = App::start(&new, &listener);
        drop(listener);
        rig.health(NEW).ok();
        // After a reboot, every process began after the switch; if current was switched back by hand, nobody knows.
        let note = rig.root.join(".shipit/sockets").join(address.port().to_string());
        let text = fs::read_to_string(&note).unwrap();
        let boot = text.split(' ').next().unwrap();
        fs::write(&note, text.replace(boot, "another-boot")).unwrap();
        rig.health(NEW).ok();
        rig.point_current_at(OLD);
        never(&mut rig, NEW);
    }
}
