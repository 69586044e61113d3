//! The switch of `current` and the restart.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use shipit::model::Template;
use shipit::plan::Action;

use crate::app::{App, listen};
use crate::rig::{NEW, OLD, Rig, eventually, id, shells, which};

/// A port that nobody listens on, and nobody else gets while the test runs.
fn restarting(rig: &mut Rig, command: &str) -> u16 {
    rig.recipe.app.restart = Template::parse(command).unwrap();
    let port = listen("127.0.0.1").1;
    rig.instances(&[port]);
    port
}

#[test]
fn a_reader_never_sees_current_missing() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        rig.release(OLD);
        rig.release(NEW);
        rig.point_current_at(OLD);
        let over = AtomicBool::new(false);
        let current = rig.root.join("current");
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut reads = 0;
                while !over.load(SeqCst) {
                    assert!(fs::read_link(&current).is_ok(), "current is missing");
                    assert!(fs::metadata(current.join(".shipit-release")).is_ok(), "current leads nowhere");
                    reads += 1;
                }
                reads
            });
            for turn in 0..20 {
                let release = if turn % 2 == 0 { NEW } else { OLD };
                rig.activate(Some(release)).ok();
                assert_eq!(rig.current(), format!("releases/{release}"));
            }
            over.store(true, SeqCst);
            assert!(reader.join().unwrap() > 50);
        });
        assert_eq!(fs::read_dir(rig.root.join("releases").join(OLD)).unwrap().count(), 1, "no link inside the release");
        rig.assert_tidy();
    }
}

#[test]
fn only_a_complete_release_is_switched_to() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        fs::create_dir_all(rig.root.join("releases").join(NEW)).unwrap();
        assert!(rig.activate(Some(NEW)).failed().contains("not a complete release"));
        assert_eq!(rig.current(), "");
        rig.release(NEW);
        rig.activate(Some(NEW)).ok();
        assert_eq!(rig.current(), format!("releases/{NEW}"));
    }
}

#[test]
fn a_directory_in_place_of_current_is_left_alone() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        rig.release(NEW);
        fs::create_dir_all(rig.root.join("current/app")).unwrap();
        let failed = rig.activate(Some(NEW)).failed();
        assert!(failed.contains("not a symbolic link | move it away"), "{failed}");
        assert!(rig.root.join("current/app").is_dir());
    }
}

#[test]
fn the_undo_of_a_first_deploy_takes_current_away() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        restarting(&mut rig, "touch \"$SHIPIT_ROOT/restarted\"");
        rig.release(NEW);
        rig.point_current_at(NEW);
        assert_eq!(rig.activate(None).ok(), "current taken away");
        assert_eq!(rig.activate(None).ok(), "current taken away");
        assert!(!rig.root.join("restarted").exists() && rig.root.join("current").symlink_metadata().is_err());
    }
}

#[test]
fn the_undo_of_a_take_over_goes_back_to_what_another_tool_had_deployed() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        restarting(&mut rig, "pwd -P >>\"$SHIPIT_ROOT/restarted\"");
        rig.release(NEW);
        let theirs = rig.root.join("releases/20240101120000");
        fs::create_dir_all(&theirs).unwrap();
        symlink(&theirs, rig.root.join("current")).unwrap();
        rig.activate(Some(NEW)).ok();
        rig.activate(None).ok();
        assert_eq!(rig.current(), theirs.display().to_string());
        let restarted = fs::read_to_string(rig.root.join("restarted")).unwrap();
        assert_eq!(restarted.lines().last(), theirs.to_str());
        // Once a release of ours was current, theirs is no longer what was there before.
        rig.activate(Some(NEW)).ok();
        rig.release(OLD);
        rig.activate(Some(OLD)).ok();
        rig.activate(None).ok();
        assert_eq!(rig.current(), "");
    }
}

#[test]
fn instances_that_run_the_release_well_are_left_alone() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        rig.release(OLD);
        let new = rig.release(NEW);
        rig.recipe.app.restart = Template::parse("touch \"$SHIPIT_ROOT/restarted.{port}\"").unwrap();
        rig.recipe.health.url = Template::parse("http://127.0.0.1:{port}/first/0").unwrap();
        let (well, port) = listen("127.0.0.1");
        let (old, old_port) = listen("127.0.0.1");
        let nobody = listen("127.0.0.1").1;
        let apps = [App::start(&new, &well), App::start(&rig.root.join("releases").join(OLD), &old)];
        drop((well, old));
        rig.instances(&[port, old_port, nobody]);
        // Nobody has begun to restart any on this release.
        let restarted = |port: u16| fs::remove_file(rig.root.join(format!("restarted.{port}"))).is_ok();
        rig.activate(Some(NEW)).ok();
        assert_eq!([port, old_port, nobody].map(restarted), [true; 3], "{}", shell.name);
        rig.activate(Some(NEW)).ok();
        assert_eq!([port, old_port, nobody].map(restarted), [false, true, true], "{}", shell.name);
        // Of the release, but ill.
        rig.recipe.health.url = Template::parse("http://127.0.0.1:{port}/say/500").unwrap();
        rig.activate(Some(NEW)).ok();
        assert!(restarted(port));
        drop(apps);
    }
}

#[test]
fn the_command_finds_its_environment_and_not_ours() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let port =
            restarting(&mut rig, "env >\"$SHIPIT_ROOT/env\"\npwd >>\"$SHIPIT_ROOT/env\"; cat >>\"$SHIPIT_ROOT/env\"");
        rig.inventory.vars.insert("rails-env".to_owned(), "a 'b' $c".to_owned());
        rig.release(NEW);
        rig.environment.insert("LC_ALL", "C.UTF-8".to_owned());
        rig.activate(Some(NEW)).ok();
        let env = fs::read_to_string(rig.root.join("env")).unwrap();
        let root = rig.root.display();
        for line in [
            format!("SHIPIT_PORT={port}"),
            format!("SHIPIT_RELEASE={NEW}"),
            format!("SHIPIT_RELEASE_PATH={root}/releases/{NEW}"),
            format!("SHIPIT_ROOT={root}"),
            "SHIPIT_HOST=web1".to_owned(),
            "SHIPIT_ADDRESS=127.0.0.1".to_owned(),
            "SHIPIT_ENVIRONMENT=test".to_owned(),
            "SHIPIT_VAR_RAILS_ENV=a 'b' $c".to_owned(),
            "LC_ALL=C.UTF-8".to_owned(),
            format!("{root}/current"),
        ] {
            assert!(env.lines().any(|one| one == line), "{}: {line} is not in {env}", shell.name);
        }
        rig.environment.clear();
        rig.activate(Some(NEW)).ok();
        let env = fs::read_to_string(rig.root.join("env")).unwrap();
        assert!(!env.contains("LC_ALL="), "{}: {env}", shell.name);
    }
}

#[test]
fn a_command_is_no_argument_that_all_on_the_host_can_read() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let command = "tr '\\0' ' ' </proc/$$/cmdline >\"$SHIPIT_ROOT/args\"; : {vars.key}";
        rig.inventory.vars.insert("key".to_owned(), "sesame".to_owned());
        restarting(&mut rig, command);
        rig.release(NEW);
        rig.activate(Some(NEW)).ok();
        let args = fs::read_to_string(rig.root.join("args")).unwrap();
        assert!(!args.is_empty() && !args.contains("sesame"), "{args}");
    }
}

#[test]
fn a_failing_command_is_told_with_its_code_and_its_last_words() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let port = restarting(&mut rig, "echo one\nfor i in 1 2 3\ndo\n  echo line $i >&2\ndone\nexit 7");
        rig.release(NEW);
        let done = rig.activate(Some(NEW));
        assert_eq!((done.failed(), done.code()), (format!("the restart of instance {port} failed"), Some(7)));
        assert!(done.stderr.ends_with("one\nline 1\nline 2\nline 3\n"), "{done:?}");
        rig.recipe.app.restart = Template::parse("no-such-command").unwrap();
        assert_eq!(rig.activate(Some(NEW)).code(), Some(127));
        rig.recipe.app.restart = Template::parse("kill -9 $$").unwrap();
        assert_eq!(rig.activate(Some(NEW)).code(), Some(137));
        // A code that time-outs have too.
        rig.recipe.app.restart = Template::parse("exit 124").unwrap();
        assert_eq!(rig.activate(Some(NEW)).code(), Some(124));
        rig.assert_tidy();
    }
}

#[test]
fn a_daemon_that_keeps_the_output_open_holds_nobody_up() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        restarting(&mut rig, "sleep 30 & echo $! >\"$SHIPIT_ROOT/pid\"");
        rig.release(NEW);
        let begin = Instant::now();
        rig.activate(Some(NEW)).ok();
        assert!(begin.elapsed() < Duration::from_secs(15), "{}", shell.name);
        // Nor does it hold the lock.
        let files = fs::read_to_string(rig.root.join("pid")).unwrap();
        let files = fs::read_dir(format!("/proc/{}/fd", files.trim())).unwrap();
        let held: Vec<_> = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok()).collect();
        assert!(!held.iter().any(|file| file.ends_with("restart.lock")), "{held:?}");
        crate::rig::sh(&rig.root, "kill $(cat pid)");
    }
}

#[test]
fn a_command_that_hangs_is_stopped() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let port = restarting(&mut rig, "echo begins; sleep 50");
        rig.recipe.app.restart_timeout = Duration::from_secs(1);
        rig.release(NEW);
        let done = rig.activate(Some(NEW));
        assert_eq!(done.failed(), format!("the restart of instance {port} took longer than 1s"));
        assert!(done.stderr.contains("begins"));
    }
}

#[test]
fn instances_are_restarted_at_once() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        // Each waits for the other.
        let command = "touch \"$SHIPIT_ROOT/$SHIPIT_PORT\"; until [ -e \"$SHIPIT_ROOT/{vars.one}\" ] && \
                       [ -e \"$SHIPIT_ROOT/{vars.two}\" ]; do sleep 0.05; done";
        restarting(&mut rig, command);
        let ports = [(); 2].map(|()| listen("127.0.0.1").1);
        rig.inventory.vars.insert("one".to_owned(), ports[0].to_string());
        rig.inventory.vars.insert("two".to_owned(), ports[1].to_string());
        rig.instances(&ports);
        rig.release(NEW);
        rig.activate(Some(NEW)).ok();
    }
}

#[test]
fn a_second_try_waits_for_the_first_that_still_runs() {
    for shell in shells() {
        if shell.name == "busybox" || which("flock").is_none() {
            eprintln!("{}: there is no flock", shell.name);
            continue;
        }
        let mut rig = Rig::new(&shell);
        let command = "echo begin >>\"$SHIPIT_ROOT/log\"; sleep 0.7; echo end >>\"$SHIPIT_ROOT/log\"";
        let port = restarting(&mut rig, command);
        rig.release(NEW);
        let action = Action::Activate { release: Some(id(NEW)), instances: rig.recipe.app.instances.clone() };
        let script = rig.site().script(rig.host(), &action).unwrap();
        let first = rig.spawn(&script);
        eventually("the first one begins", || rig.root.join("log").exists());
        let second = rig.spawn(&script);
        first().ok();
        second().ok();
        let log = fs::read_to_string(rig.root.join("log")).unwrap();
        assert_eq!(log, "begin\nend\nbegin\nend\n", "{port}");
    }
}
