//! The end of a deploy on a host: read back, noted, old releases removed.

use std::fs;

use shipit::plan::Action;

use crate::app::{App, listen};
use crate::rig::{COMMIT, Done, NEW, OLD, Rig, Shell, id, release_of, sh, shells};

fn confirm(rig: &Rig) -> Done {
    confirm_instead_of(rig, &[])
}

fn confirm_instead_of(rig: &Rig, replaces: &[&str]) -> Done {
    rig.perform(&Action::Confirm {
        release: release_of(NEW, COMMIT, "main"),
        keep: rig.recipe.release.keep,
        replaces: replaces.iter().map(|one| id(one)).collect(),
        instances: rig.recipe.app.instances.clone(),
    })
}

/// A host that runs the new release.
fn host(shell: &Shell) -> (Rig, App) {
    let mut rig = Rig::new(shell);
    let new = rig.release(NEW);
    rig.point_current_at(NEW);
    fs::create_dir_all(rig.root.join(".shipit")).unwrap();
    let (listener, port) = listen("127.0.0.1");
    rig.instances(&[port]);
    let app = App::start(&new, &listener);
    (rig, app)
}

#[test]
fn what_may_be_needed_stays_and_the_rest_goes() {
    for shell in shells() {
        let (rig, _app) = host(&shell);
        let old: Vec<String> = (1..=6).map(|day| format!("2026110{day}-101500-0a1b2c3d")).collect();
        for id in &old {
            rig.release(id);
        }
        rig.release(OLD);
        // The oldest by its id is the newest by its file dates.
        sh(
            &rig.root,
            &format!(
                "touch -d 2020-01-01 releases/{OLD} releases/{NEW} releases/{}; touch releases/{}",
                old[5], old[0]
            ),
        );
        fs::write(rig.root.join(".shipit/confirmed"), format!("{}\n{}\n", old[0], old[1])).unwrap();
        let (listener, _) = listen("127.0.0.1");
        let _lingering = App::start(&rig.root.join("releases").join(&old[2]), &listener);
        // Neither ours nor complete.
        sh(
            &rig.root,
            "mkdir -p releases/20201101-101500-0a1b2c3d releases/20240101120000 'releases/my release' && \
                       touch 'releases/my release/.shipit-release' && mkdir -p releases/.trash-1/x releases/.staging-new",
        );
        assert_eq!(confirm(&rig).ok(), "4 old releases removed", "{}", shell.name);
        let mut left: Vec<_> = fs::read_dir(rig.root.join("releases"))
            .unwrap()
            .map(|one| one.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let stays =
            [".staging-new", "20201101-101500-0a1b2c3d", "20240101120000", &old[1], &old[2], OLD, NEW, "my release"];
        assert_eq!(left, stays, "{}", shell.name);
        assert_eq!(confirm(&rig).ok(), "");
        let confirmed = fs::read_to_string(rig.root.join(".shipit/confirmed")).unwrap();
        assert_eq!(confirmed, format!("{}\n{}\n{NEW}\n", old[0], old[1]));
    }
}

#[test]
fn bad_releases_go_first_and_what_a_rollback_needs_stays() {
    for shell in shells() {
        let (mut rig, _app) = host(&shell);
        rig.recipe.release.keep = 3;
        let old: Vec<String> = (1..=3).map(|day| format!("2026110{day}-101500-0a1b2c3d")).collect();
        old.iter().chain([&OLD.to_owned()]).for_each(|id| drop(rig.release(id)));
        // The newer ones were rolled back from, so the oldest is the way back.
        fs::write(rig.root.join(".shipit/confirmed"), format!("{}\n{}\n{OLD}\n{}\n", old[0], old[1], old[0])).unwrap();
        let mark = |id: &str| format!("{id} {} 2026-11-21T02:17:10Z alice\n", "0".repeat(40));
        fs::write(rig.root.join(".shipit/bad"), [mark(OLD), mark(&old[1]), mark(NEW)].concat()).unwrap();
        assert_eq!(confirm(&rig).ok(), "2 old releases removed", "{}", shell.name);
        assert_eq!(sh(&rig.root, "ls releases"), format!("{}\n{}\n{NEW}", old[0], old[2]), "{}", shell.name);
        // It runs well, whatever somebody thought of it.
        assert_eq!(fs::read_to_string(rig.root.join(".shipit/bad")).unwrap(), [mark(OLD), mark(&old[1])].concat());
    }
}

#[test]
fn what_other_hosts_may_go_back_to_stays() {
    for shell in shells() {
        let (mut rig, _app) = host(&shell);
        rig.recipe.release.keep = 1;
        let old: Vec<String> = (1..=3).map(|day| format!("2026110{day}-101500-0a1b2c3d")).collect();
        for id in &old {
            rig.release(id);
        }
        // This host was confirmed on the second one; the rest of the fleet was not, and still runs the first.
        fs::write(rig.root.join(".shipit/confirmed"), format!("{}\n{}\n", old[0], old[1])).unwrap();
        assert_eq!(confirm_instead_of(&rig, &[&old[0], &old[1]]).ok(), "1 old releases removed", "{}", shell.name);
        assert_eq!(sh(&rig.root, "ls releases"), format!("{}\n{}\n{NEW}", old[0], old[1]), "{}", shell.name);
    }
}

#[test]
fn leftovers_are_swept_and_this_releases_archive_is_not() {
    for shell in shells() {
        let (rig, _app) = host(&shell);
        sh(
            &rig.root,
            &format!(
                "mkdir -p .shipit/cache .shipit/once releases/.staging-dead && touch .shipit/cache/{COMMIT} .shipit/cache/other \
            .shipit/cache/.part.x.1 .shipit/once/old && touch -d '100 days ago' .shipit/cache/* .shipit/cache/.part.x.1 .shipit/once/* releases/.staging-dead && \
            touch .shipit/cache/coming .shipit/once/new"
            ),
        );
        confirm(&rig).ok();
        let left = sh(&rig.root, "ls -A .shipit/cache .shipit/once releases");
        assert_eq!(left, format!(".shipit/cache:\n{COMMIT}\ncoming\n\n.shipit/once:\nnew\n\nreleases:\n{NEW}"));
    }
}

#[test]
fn a_prune_that_fails_is_told_and_no_failure() {
    for shell in shells() {
        let (rig, _app) = host(&shell);
        // A busy mount can't be removed, not even by root; without mounts there is nothing that root can't remove.
        fs::create_dir_all(rig.root.join("releases/.trash-1")).unwrap();
        let trash = rig.root.join("releases/.trash-1").display().to_string();
        if std::process::Command::new("mount")
            .args(["-t", "tmpfs", "none", &trash])
            .output()
            .is_ok_and(|one| one.status.success())
        {
            let done = confirm(&rig);
            sh(&rig.root, &format!("umount '{trash}'"));
            assert_eq!(done.ok(), "old releases could not all be removed", "{}", shell.name);
        }
        confirm(&rig).ok();
    }
}

#[test]
fn only_what_runs_well_is_confirmed() {
    for shell in shells() {
        let (rig, app) = host(&shell);
        let other = Action::Confirm {
            release: release_of(OLD, COMMIT, "main"),
            keep: 2,
            replaces: vec![],
            instances: rig.recipe.app.instances.clone(),
        };
        assert!(rig.perform(&other).failed().contains(&format!("runs {NEW}, not {OLD}")));
        drop(app);
        assert!(confirm(&rig).failed().contains("runs no release that can be told"));
        assert!(!rig.root.join(".shipit/confirmed").exists());
    }
}
