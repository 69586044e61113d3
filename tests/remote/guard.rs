//! The guard: whoever holds the lock, and what is put back when nobody is left to do it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use shipit::balancer::ASK;
use shipit::plan::Action;
use shipit::remote::{Call, LockVerb, Undo, read_lock};
use shipit::transport::Output;

use super::rig::{Done, NEW, OLD, Rig, busybox_tools, eventually, id, shells};
use super::talk::Talk;

fn call(run: &str, again: bool) -> Call<'_> {
    Call { run, holder: &[], again }
}

fn guard(rig: &Rig, run: &str, again: bool) -> Talk {
    let script = call(run, again).to_host(&rig.root.to_string_lossy());
    Talk::start(rig, &script.with("LEASE", "3").with("GRACE", "1"))
}

pub(crate) fn standing(rig: &Rig, run: &str) -> Talk {
    let talk = guard(rig, run, false);
    talk.hears("held");
    talk
}

/// Two releases, the old one live.
fn with_releases(rig: &Rig) {
    for release in [OLD, NEW] {
        let directory = rig.release(release);
        fs::write(directory.join(".shipit-release"), "f o\n").unwrap();
    }
    rig.point_current_at(OLD);
}

/// Switches to the new release; the guard is to know the way back.
fn switch(rig: &Rig, run: &str) -> Done {
    let action = |release: &str| Action::Activate { release: Some(id(release)), instances: vec![] };
    let undo = Undo { step: 1, actions: vec![action(OLD)], unless_healthy: None };
    let script = rig.site().script(rig.host(), &action(NEW)).unwrap();
    rig.run(&rig.site().guarded(script, rig.host(), run, Some(&undo)))
}

fn current(rig: &Rig) -> String {
    rig.current().rsplit('/').next().unwrap().to_owned()
}

fn is_gone(rig: &Rig) -> bool {
    let lock = rig.run(&LockVerb::Status.on_host(&rig.root.to_string_lossy()));
    read_lock(&Output { code: 0, stdout: lock.stdout, stderr: String::new() }).holder.is_empty()
        && !rig.root.join(".shipit/guard/run").exists()
}

#[test]
fn one_holds_the_lock_and_the_other_hears_who() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        let holder = ["run first".to_owned(), "who ann@laptop".to_owned()];
        let script = Call { run: "first", holder: &holder, again: false }.to_host(&rig.root.to_string_lossy());
        let mut first = Talk::start(&rig, &script);
        first.hears("held");
        let second = guard(&rig, "second", false);
        second.hears("holder who ann@laptop");
        second.hears("busy");
        first.says("end");
        first.hears("ended");
        standing(&rig, "third");
    }
}

#[test]
fn a_guard_that_knows_of_nothing_goes_at_once_when_shipit_is_gone() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        let mut talk = standing(&rig, "run");
        talk.says("beat");
        talk.is_cut_off();
        talk.hears("over");
        assert!(is_gone(&rig), "{}", shell.name);
    }
}

#[test]
fn what_a_step_has_changed_is_undone_when_shipit_is_gone() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let mut talk = standing(&rig, "run");
        switch(&rig, "run").ok();
        assert_eq!(current(&rig), NEW);
        talk.is_cut_off();
        talk.hears("acts");
        talk.hears("over");
        assert_eq!(current(&rig), OLD, "{}", shell.name);
        assert!(is_gone(&rig), "{}", shell.name);
    }
}

#[test]
fn a_step_that_has_ended_is_not_waited_for_though_nobody_has_asked_how() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let mut talk = standing(&rig, "run");
        switch(&rig, "run").ok();
        // As of an sshd that hangs with its connection.
        let mut ended = Command::new("true").spawn().unwrap();
        fs::write(rig.root.join(".shipit/guard/busy").join(ended.id().to_string()), "x").unwrap();
        talk.is_cut_off();
        talk.hears("acts");
        talk.hears("over");
        assert_eq!(current(&rig), OLD, "{}", shell.name);
        ended.wait().unwrap();
    }
}

#[test]
fn what_shipit_takes_back_itself_is_not_taken_back_by_the_guard_too() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let mut talk = standing(&rig, "run");
        switch(&rig, "run").ok();
        let undone = rig.root.join("undone");
        fs::write(rig.root.join(".shipit/guard/undo/002"), format!("touch '{}'\n", undone.display())).unwrap();
        // On the way back from step 2 it has come to step 1, and is cut off there.
        let back = Action::Activate { release: Some(id(OLD)), instances: vec![] };
        let script = rig.site().script(rig.host(), &back).unwrap();
        rig.run(&rig.site().guarded(script, rig.host(), "run", None).with("BACK", "1")).ok();
        talk.is_cut_off();
        talk.hears("acts");
        talk.hears("over");
        assert_eq!(current(&rig), OLD, "{}", shell.name);
        assert!(!undone.exists(), "{}", shell.name);
    }
}

#[test]
fn a_step_that_is_just_telling_what_undoes_it_is_waited_for() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let mut talk = standing(&rig, "run");
        let guard = rig.root.join(".shipit/guard");
        // As the fence does it, by a process that lives.
        let busy = guard.join("busy").join(std::process::id().to_string());
        fs::write(&busy, "telling").unwrap();
        talk.is_cut_off();
        eventually("nobody is let in any more", || !guard.join("run").exists());
        fs::write(guard.join("undo/001"), format!("touch '{}'\n", rig.root.join("undone").display())).unwrap();
        fs::write(&busy, "working").unwrap();
        talk.hears("acts");
        assert!(!rig.root.join("undone").exists(), "it is at work still");
        fs::remove_file(&busy).unwrap();
        talk.hears("over");
        assert!(rig.root.join("undone").exists(), "{}", shell.name);
    }
}

#[test]
fn so_it_is_when_shipit_says_nothing_for_the_time_of_the_lease() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let talk = standing(&rig, "run");
        switch(&rig, "run").ok();
        talk.hears("acts");
        talk.hears("over");
        assert_eq!(current(&rig), OLD, "{}", shell.name);
    }
}

#[test]
fn what_is_settled_is_not_undone() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let mut talk = standing(&rig, "run");
        switch(&rig, "run").ok();
        talk.says("forget");
        talk.is_cut_off();
        talk.hears("over");
        assert_eq!(current(&rig), NEW, "{}", shell.name);
    }
}

#[test]
fn a_step_whose_guard_does_not_stand_changes_nothing() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        assert!(switch(&rig, "run").failed().contains("does not stand on this host"), "{}", shell.name);
        let _other = standing(&rig, "other");
        assert!(switch(&rig, "run").failed().contains("does not stand on this host"), "{}", shell.name);
        assert_eq!(current(&rig), OLD, "{}", shell.name);
    }
}

#[test]
fn a_line_that_comes_back_finds_everything_as_it_was() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let mut first = standing(&rig, "run");
        switch(&rig, "run").ok();
        first.is_cut_off();
        let mut second = guard(&rig, "run", true);
        second.hears("held");
        assert_eq!(current(&rig), NEW, "{}: nothing is undone", shell.name);
        second.is_cut_off();
        second.hears("acts");
        second.hears("over");
        assert_eq!(current(&rig), OLD, "{}: but the way back is still known", shell.name);
        let late = guard(&rig, "run", true);
        late.hears("acted");
    }
}

#[test]
fn a_guard_whose_first_word_got_lost_is_not_in_the_way_of_its_own_run() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        let unheard = standing(&rig, "run");
        let mut again = guard(&rig, "run", false);
        again.hears("held");
        unheard.hears("over");
        again.says("end");
        again.hears("ended");
        assert!(is_gone(&rig), "{}", shell.name);
    }
}

#[test]
fn a_guard_that_is_killed_leaves_the_lock_and_another_takes_over() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let first = standing(&rig, "run");
        switch(&rig, "run").ok();
        let run = fs::read_to_string(rig.root.join(".shipit/guard/run")).unwrap();
        let pid = run.split(' ').nth(1).unwrap();
        assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
        first.hears("over");
        assert!(switch(&rig, "run").failed().contains("does not stand on this host"), "{}", shell.name);
        let mut second = guard(&rig, "run", true);
        second.hears("held");
        second.is_cut_off();
        second.hears("over");
        assert_eq!(current(&rig), OLD, "{}", shell.name);
    }
}

#[test]
fn what_can_not_be_undone_is_told_to_the_next() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let mut talk = standing(&rig, "run");
        switch(&rig, "run").ok();
        fs::remove_file(rig.root.join("releases").join(OLD).join(".shipit-release")).unwrap();
        talk.is_cut_off();
        talk.hears("over");
        let lock = rig.run(&LockVerb::Status.on_host(&rig.root.to_string_lossy()));
        assert!(
            lock.stdout.contains(&format!("broken run step 001 (current on {OLD}) could not be undone: ")),
            "{}: {lock:?}",
            shell.name
        );
        assert!(lock.stdout.contains("is not a complete release"), "{}: {lock:?}", shell.name);
    }
}

/// As logind does with `KillUserProcesses=yes`: every process of the session hears it, the guard among them.
#[test]
fn a_session_that_ends_while_its_guard_acts_does_not_keep_it_from_that() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        let mut talk = standing(&rig, "run");
        let guard = rig.root.join(".shipit/guard");
        let done = rig.root.join("done");
        let ends =
            format!("if mkdir '{0}/once'; then read -r run pid start <'{0}/acting'; kill $pid $$; fi", guard.display());
        fs::write(guard.join("undo/001"), format!("{ends}; : >'{}'\n", done.display())).unwrap();
        talk.is_cut_off();
        talk.hears("over");
        assert!(done.exists(), "{}", shell.name);
        assert!(!rig.root.join(".shipit/broken").exists(), "{}", shell.name);
    }
}

#[test]
fn a_lock_that_is_broken_has_its_guard_undo_and_go() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let mut talk = standing(&rig, "run");
        switch(&rig, "run").ok();
        let root = rig.root.to_string_lossy();
        assert_eq!(rig.run(&LockVerb::Break("other".to_owned()).on_host(&root)).ok(), "");
        let breaking = rig.spawn(&LockVerb::Break("run".to_owned()).on_host(&root));
        talk.says("beat");
        talk.hears("broken");
        talk.hears("over");
        breaking().ok();
        assert_eq!(current(&rig), OLD, "{}", shell.name);
    }
}

#[test]
fn a_person_can_hold_the_lock() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        let root = rig.root.to_string_lossy();
        let holder = vec!["run mine".to_owned(), "reason racks".to_owned()];
        rig.run(&LockVerb::Take(holder).on_host(&root)).ok();
        let talk = guard(&rig, "run", false);
        talk.hears("holder reason racks");
        talk.hears("busy");
        rig.run(&LockVerb::Break("mine".to_owned()).on_host(&root)).ok();
        standing(&rig, "run");
    }
}

/// Stands in for haproxy: it says nothing to what it takes, as haproxy does, and writes it down.
fn ask(file: &Path) -> String {
    format!("echo way; [ \"$COMMANDS\" = 'show info' ] || printf '%s\\n' \"$COMMANDS\" >>'{}'\n", file.display())
}

#[test]
fn servers_are_put_back_when_shipit_is_gone_and_by_the_next_guard_when_the_first_one_was_killed() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        let told = rig.dir.path().join("told");
        let at_balancer = |run: &str| {
            let script = call(run, false).to_balancer("/run/admin.sock", &ask(&told));
            let talk = Talk::start(&rig, &script.with("LEASE", "3").with("GRACE", "1"));
            talk.hears("held");
            talk
        };
        let told = || fs::read_to_string(rig.dir.path().join("told")).unwrap_or_default();
        let mut talk = at_balancer("first");
        talk.says("arm web1.0 set server app/web1 state ready;set server app/web1 health down");
        talk.hears("armed web1.0");
        talk.says("arm web2.0 set server app/web2 state ready");
        talk.hears("armed web2.0");
        talk.says("forget web2.0");
        talk.is_cut_off();
        talk.hears("put web1.0");
        talk.hears("over");
        assert_eq!(told(), "set server app/web1 state ready;set server app/web1 health down\n", "{}", shell.name);

        let mut second = at_balancer("second");
        second.says("arm web3.0 set server app/web3 state ready");
        second.hears("armed web3.0");
        let state = fs::read_dir(rig.dir.path().join(".shipit")).unwrap().next().unwrap().unwrap().path();
        let run = fs::read_to_string(state.join("guard/run")).unwrap();
        assert!(Command::new("kill").args(["-9", run.split(' ').nth(1).unwrap()]).status().unwrap().success());
        second.hears("over");
        let _third = at_balancer("third");
        eventually("the server is put back", || told().ends_with("set server app/web3 state ready\n"));
    }
}

#[test]
fn a_balancer_that_could_not_be_told_needs_nobody_once_the_next_guard_has_told_it() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        let (told, away) = (rig.dir.path().join("told"), rig.dir.path().join("away"));
        let ask = format!("[ ! -e '{}' ] || {{ echo refused; exit 1; }}\n{}", away.display(), ask(&told));
        let at_balancer = || {
            let script = call("run", false).to_balancer("/run/admin.sock", &ask);
            let talk = Talk::start(&rig, &script.with("LEASE", "3").with("GRACE", "1"));
            talk.hears("held");
            talk
        };
        let mut talk = at_balancer();
        let state = fs::read_dir(rig.dir.path().join(".shipit")).unwrap().next().unwrap().unwrap().path();
        let broken = || fs::read_to_string(state.join("broken")).unwrap_or_default();
        talk.says("arm web1.0 set server app/web1 state ready");
        talk.hears("armed web1.0");
        fs::write(&away, "").unwrap();
        talk.is_cut_off();
        talk.hears("over");
        assert!(broken().contains("run web1.0 could not be put back"), "{}: {}", shell.name, broken());
        fs::remove_file(&away).unwrap();
        let mut next = at_balancer();
        next.says("end");
        next.hears("ended");
        assert_eq!(broken(), "", "{}", shell.name);
        assert_eq!(fs::read_to_string(&told).unwrap(), "set server app/web1 state ready\n", "{}", shell.name);
    }
}

/// haproxy's socket: says its version, and nothing to what it takes, which it writes down.
fn haproxy(socket: &Path, told: &Path) {
    let (listener, told) = (UnixListener::bind(socket).unwrap(), told.to_owned());
    std::thread::spawn(move || {
        for mut line in listener.incoming().map_while(Result::ok) {
            let mut commands = String::new();
            BufReader::new(&line).read_line(&mut commands).unwrap();
            if commands == "show info\n" {
                let _ = line.write_all(b"Version: 2.6\n\n");
            } else {
                fs::write(&told, commands).unwrap();
                let _ = line.write_all(b"\n\n");
            }
        }
    });
}

#[test]
fn without_socat_a_server_is_put_back_by_perl_whatever_that_says_of_locales() {
    for mut shell in shells() {
        let tools = tempfile::tempdir().unwrap();
        let perl = tools.path().join("perl");
        fs::write(&perl, "#!/bin/sh\necho 'perl: warning: Setting locale failed.' >&2\nexec /usr/bin/perl \"$@\"\n")
            .unwrap();
        fs::set_permissions(&perl, fs::Permissions::from_mode(0o755)).unwrap();
        shell.path = format!("{}:{}", tools.path().display(), busybox_tools().display());
        let rig = Rig::new(&shell);
        let (socket, told) = (rig.dir.path().join("admin.sock"), rig.dir.path().join("told"));
        haproxy(&socket, &told);
        let script = call("run", false).to_balancer(&socket.to_string_lossy(), ASK);
        let mut talk = Talk::start(&rig, &script.with("LEASE", "3").with("GRACE", "1"));
        talk.hears("held");
        talk.says("arm web1.0 set server app/web1 state ready");
        talk.hears("armed web1.0");
        talk.is_cut_off();
        talk.hears("put web1.0");
        talk.hears("over");
        assert_eq!(fs::read_to_string(&told).unwrap(), "set server app/web1 state ready\n", "{}", shell.name);
    }
}

#[test]
fn what_is_healthy_on_the_release_is_left_and_the_log_says_so() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        with_releases(&rig);
        let action = |release: &str| Action::Activate { release: Some(id(release)), instances: vec![] };
        let undo = Undo { step: 1, actions: vec![action(OLD)], unless_healthy: Some((id(NEW), vec![])) };
        let mut talk = standing(&rig, "run");
        let script = rig.site().script(rig.host(), &action(NEW)).unwrap();
        rig.run(&rig.site().guarded(script, rig.host(), "run", Some(&undo))).ok();
        talk.is_cut_off();
        talk.hears("over");
        assert_eq!(current(&rig), NEW, "{}", shell.name);
        let log = fs::read_to_string(rig.root.join(".shipit/journal")).unwrap();
        assert!(
            log.ends_with(&format!(
                "\trun\tguard\tresult=left\twhy=left step 001 (current on {OLD}) as it is: the release is healthy\n"
            )),
            "{}: {log}",
            shell.name
        );
    }
}
