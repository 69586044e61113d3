//! Tasks of the recipe.

use std::fs;
use std::time::Duration;

use shipit::model::{Moment, Task, Template};
use shipit::plan::Action;

use crate::rig::{Done, NEW, OLD, Rig, eventually, id, shells, which};

fn task(rig: &mut Rig, run: &str, once: bool) {
    rig.recipe.tasks = vec![Task {
        name: "migrate".parse().unwrap(),
        at: Moment::Updated,
        run: Template::parse(run).unwrap(),
        role: "app".parse().unwrap(),
        once,
        directory: None,
        environment: [].into(),
        timeout: Duration::from_secs(20),
    }];
}

fn perform(rig: &Rig, release: &str) -> Done {
    rig.perform(&Action::Task { name: "migrate".parse().unwrap(), release: id(release) })
}

#[test]
fn a_task_that_is_once_runs_once_for_each_release() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        rig.release(OLD);
        rig.release(NEW);
        task(&mut rig, "echo ran >>\"$SHIPIT_ROOT/log\"", true);
        assert_eq!(perform(&rig, NEW).ok(), "");
        assert_eq!(perform(&rig, NEW).ok(), "ran before");
        perform(&rig, OLD).ok();
        assert_eq!(fs::read_to_string(rig.root.join("log")).unwrap(), "ran\nran\n");
        task(&mut rig, "echo ran >>\"$SHIPIT_ROOT/log\"", false);
        perform(&rig, NEW).ok();
        assert_eq!(fs::read_to_string(rig.root.join("log")).unwrap(), "ran\nran\nran\n");
        rig.assert_tidy();
    }
}

#[test]
fn a_failed_task_may_run_again_and_one_that_was_cut_off_may_not() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        rig.release(NEW);
        task(&mut rig, "echo out; echo err >&2; exit 255", true);
        for _ in 0..2 {
            let done = perform(&rig, NEW);
            assert_eq!(
                (done.failed().as_str(), done.code(), done.stderr.as_str()),
                ("task migrate failed", Some(255), "out\nerr\n")
            );
        }
        for (run, says) in [("kill -9 $$", "failed"), ("sleep 50", "took longer than 1s")] {
            task(&mut rig, run, true);
            rig.recipe.tasks[0].timeout = Duration::from_secs(1);
            let failed = perform(&rig, NEW).failed();
            assert!(
                failed.contains(says) && failed.contains("| see what it did, then remove /"),
                "{}: {failed}",
                shell.name
            );
            let failed = perform(&rig, NEW).failed();
            assert!(failed.contains("was cut off") && failed.contains("| see what it did"), "{failed}");
            let marker = failed.rsplit_once("remove ").unwrap().1.replace(" to let it run again", "");
            fs::remove_file(marker).unwrap();
        }
        task(&mut rig, "true", true);
        perform(&rig, NEW).ok();
    }
}

#[test]
fn a_task_that_still_runs_is_not_started_again() {
    for shell in shells() {
        if shell.name == "busybox" || which("flock").is_none() {
            eprintln!("{}: there is no flock", shell.name);
            continue;
        }
        let mut rig = Rig::new(&shell);
        rig.release(NEW);
        task(&mut rig, "echo ran >>\"$SHIPIT_ROOT/log\"; sleep 3", true);
        let script =
            rig.site().script(rig.host(), &Action::Task { name: "migrate".parse().unwrap(), release: id(NEW) });
        let first = rig.spawn(&script.unwrap());
        eventually("it runs", || rig.root.join("log").exists());
        let failed = perform(&rig, NEW).failed();
        assert!(failed.contains("still runs on this host"), "{failed}");
        first().ok();
        assert_eq!(perform(&rig, NEW).ok(), "ran before");
    }
}

#[test]
fn a_task_has_its_directory_and_its_environment() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let release = rig.release(NEW);
        // Names that our scripts use themselves.
        task(&mut rig, "pwd; env; echo \"$NAME $ROOT\"", false);
        let text = |text: &str| Template::parse(text).unwrap();
        rig.recipe.tasks[0].environment = [
            ("NAME", "a 'b'"),
            ("ROOT", "{release}"),
            ("LC_ALL", "C.UTF-8"),
            ("PATH", "/bin:/usr/bin"),
            ("MANY", "1\n2\n"),
        ]
        .map(|(name, value)| (name.to_owned(), text(value)))
        .into();
        let done = perform(&rig, NEW);
        done.ok();
        assert!(done.stderr.starts_with(&format!("{}\n", release.display())), "{done:?}");
        assert!(done.stderr.ends_with(&format!("a 'b' {NEW}\n")), "{}: {done:?}", shell.name);
        for line in ["NAME=a 'b'", "LC_ALL=C.UTF-8", "PATH=/bin:/usr/bin", "MANY=1", "SHIPIT_HOST=web1"] {
            assert!(done.stderr.lines().any(|one| one == line), "{line}: {done:?}");
        }
        rig.recipe.tasks[0].directory = Some(text("{vars.root}/nowhere"));
        assert!(perform(&rig, NEW).failed().ends_with("nowhere can't be entered"));
    }
}
