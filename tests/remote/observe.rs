//! The look at a host.

use std::fs;
use std::os::unix::fs::symlink;

use shipit::model::{HostFacts, Reach, Size, Source, Template};
use shipit::remote::{Purpose, look, read_facts};
use shipit::transport::Output;

use crate::app::{App, listen};
use crate::rig::{COMMIT, NEW, OLD, Rig, busybox_tools, id, release_of, sh, shells};

fn observe(rig: &Rig, purpose: Purpose, room: Size) -> HostFacts {
    let fingerprint = COMMIT.parse().unwrap();
    let before = rig.listing();
    let done = rig.run(&look(&rig.site(), rig.host(), purpose, Some(&fingerprint), room));
    assert_eq!(rig.listing(), before, "a look changes nothing");
    let facts = read_facts(&Output { code: 0, stdout: done.stdout.clone(), stderr: String::new() });
    assert_eq!((done.stderr.as_str(), &facts.reach), ("", &Reach::Reached), "{done:?}");
    facts
}

fn problems(rig: &Rig) -> Vec<String> {
    let facts = observe(rig, Purpose::Deploy, Size::default());
    facts.problems.into_iter().map(|one| format!("{} | {}", one.what, one.help.unwrap_or_default())).collect()
}

#[test]
fn a_new_host_is_no_problem() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        fs::remove_dir(&rig.root).unwrap();
        let facts = observe(&rig, Purpose::Deploy, Size::default());
        assert_eq!(facts, HostFacts::default(), "{}", shell.name);
    }
}

#[test]
fn all_that_is_there_is_seen() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let (old, new) = (rig.release(OLD), rig.release(NEW));
        fs::write(new.join(".shipit-release"), format!("{COMMIT} a 'branch' of  \\n origin\n")).unwrap();
        fs::create_dir_all(rig.root.join("releases/20261121-000000-00000000")).unwrap();
        rig.point_current_at(OLD);
        let (first, port) = listen("127.0.0.1");
        let (second, ill) = listen("127.0.0.1");
        let (foreign, other) = listen("127.0.0.1");
        let nobody = listen("127.0.0.1").1;
        let _apps = [App::start(&old, &first), App::start(&new, &second), App::start(rig.dir.path(), &foreign)];
        drop((first, second, foreign));
        rig.instances(&[port, ill, other, nobody]);
        rig.recipe.health.url = Template::parse("http://127.0.0.1:{port}/up").unwrap();
        let facts = observe(&rig, Purpose::Status, Size::default());
        assert_eq!(facts.current, Some(id(OLD)));
        assert_eq!(
            facts.releases,
            [release_of(OLD, COMMIT, "main"), release_of(NEW, COMMIT, "a 'branch' of  \\n origin")]
        );
        let seen = |port: u16| {
            let one = facts.instances.iter().find(|one| one.instance.0 == port).unwrap();
            (one.running.clone(), one.healthy)
        };
        assert_eq!(
            [port, ill, other, nobody].map(seen),
            [(Some(id(OLD)), true), (Some(id(NEW)), true), (None, true), (None, false)],
            "{}",
            shell.name
        );
        assert!(!facts.archive_cached);
        sh(&rig.root, &format!("mkdir -p .shipit/cache && touch .shipit/cache/{COMMIT}"));
        rig.recipe.health.url = Template::parse("http://127.0.0.1:{port}/say/500").unwrap();
        let facts = observe(&rig, Purpose::Status, Size::default());
        assert!(facts.archive_cached && facts.instances.iter().all(|one| !one.healthy));
    }
}

#[test]
fn what_stands_in_the_way_is_told() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        symlink("releases/gone", rig.root.join("current")).unwrap();
        rig.recipe.release.linked_files = vec!["config/a key".to_owned()];
        let found = problems(&rig);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found[0].contains("current points at releases/gone, which is not there"));
        assert!(found[1].contains("shared/config/a key is missing | put it there"));
        let huge = observe(&rig, Purpose::Deploy, Size { bytes: 1 << 50, entries: 1 << 50 });
        let text: Vec<_> = huge.problems.iter().map(|one| one.what.as_str()).collect();
        assert!(
            text.iter().any(|one| one.contains("MB free on the disk of") && one.ends_with("needs 1073741825 MB")),
            "{text:#?}"
        );
        assert!(text.iter().any(|one| one.contains("inodes free on the disk of")), "{text:#?}");
        fs::remove_file(rig.root.join("current")).unwrap();
        fs::create_dir(rig.root.join("current")).unwrap();
        assert!(problems(&rig)[0].contains("current is not a symbolic link | move it away"));
    }
}

#[test]
fn what_was_confirmed_is_remembered_and_going_back_needs_neither_room_nor_tools() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        fs::create_dir_all(rig.root.join(".shipit")).unwrap();
        fs::write(rig.root.join(".shipit/confirmed"), format!("{OLD}\n{NEW}\nnot one\n{OLD}\n")).unwrap();
        rig.recipe.release.source = Source::Archive("web.tar.zst".into());
        let huge = Size { bytes: 1 << 60, entries: 1 << 40 };
        let facts = observe(&rig, Purpose::Return, huge);
        assert_eq!(facts.confirmed, [id(OLD), id(NEW), id(OLD)], "{}", shell.name);
        assert_eq!(facts.problems, [], "{}", shell.name);
        assert!(!observe(&rig, Purpose::Deploy, huge).problems.is_empty());
    }
}

#[test]
fn a_root_that_can_not_be_written_is_told() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        // Not even root writes there.
        rig.inventory.vars.insert("root".to_owned(), "/proc/app".to_owned());
        let found = problems(&rig);
        assert!(
            found[0].starts_with("/proc can't be written by ") || found[0].starts_with("0 MB free"),
            "{}: {found:?}",
            shell.name
        );
    }
}

#[test]
fn missing_tools_are_told_with_their_packages() {
    for shell in shells().into_iter().filter(|shell| shell.name == "busybox") {
        let tools = tempfile::tempdir().unwrap();
        for tool in fs::read_dir(busybox_tools()).unwrap() {
            let name = tool.unwrap().file_name().into_string().unwrap();
            if !["git", "curl", "sha256sum", "timeout", "xz"].contains(&name.as_str()) {
                symlink(busybox_tools().join(&name), tools.path().join(&name)).unwrap();
            }
        }
        let mut shell = shell.clone();
        shell.path = tools.path().display().to_string();
        let mut rig = Rig::new(&shell);
        rig.recipe.release.source = Source::Archive("web.tar.xz".into());
        let found = problems(&rig).join("\n");
        for line in [
            "curl is not installed | install it (on Debian: apt-get install curl)",
            "timeout is not installed | install it (on Debian: apt-get install coreutils)",
            "sha256sum is not installed | install it (on Debian: apt-get install coreutils)",
            "xz is not installed | install it (on Debian: apt-get install xz-utils)",
        ] {
            assert!(found.contains(line), "{line}: {found}");
        }
    }
}

#[test]
fn sudo_itself_is_asked() {
    for shell in shells() {
        let mut shell = shell.clone();
        let tools = tempfile::tempdir().unwrap();
        shell.path = format!("{}:{}", tools.path().display(), shell.path);
        let mut rig = Rig::new(&shell);
        rig.instances(&[listen("127.0.0.1").1]);
        let port = rig.recipe.app.instances[0];
        rig.recipe.app.restart = Template::parse("sudo -n env K=v 'a b@{port}'; sudo -n -u app bin/x").unwrap();
        // A sudo that knows one command.
        let knows = |command: &str| {
            sh(
                tools.path(),
                &format!(
                    "printf '%s\\n' '#!/bin/sh' '[ \"$*\" = \"{command}\" ] || [ \"$*\" = \"-n -l -u app -- bin/x\" ]' >sudo && chmod +x sudo"
                ),
            );
        };
        knows(&format!("-n -l -- env K=v a b@{port}"));
        assert_eq!(problems(&rig), Vec::<String>::new(), "{}", shell.name);
        knows("nothing");
        let user = sh(&rig.root, "id -un");
        assert_eq!(
            problems(&rig),
            [format!(
                "{user} may not run `sudo -n env K=v 'a b@{port}'` without a password | \
            allow it in sudoers: {user} ALL=(root) NOPASSWD: /usr/bin/env K\\=v a b@{port}"
            )]
        );
        // What only tells more of a failure stands in nobody's way.
        rig.recipe.app.restart = Template::parse("true").unwrap();
        rig.recipe.app.logs = Some(Template::parse("sudo -n tail app-{port}.log").unwrap());
        let facts = observe(&rig, Purpose::Deploy, Size::default());
        assert_eq!(facts.problems, [], "{}", shell.name);
        let note = format!("{user} may not run `sudo -n tail app-{port}.log` without a password");
        assert_eq!(facts.notes.iter().map(|one| &one.what).collect::<Vec<_>>(), [&note], "{}", shell.name);
    }
}
