//! The journal of a host, as the scripts of a run leave it.

use std::fs;
use std::io::Write;

use shipit::model::{BadRelease, Instance, Journal, Moment, RunId, Task, Template};
use shipit::plan::Action;
use shipit::remote::{Note, Purpose, Stamp, look, read_facts, read_history};
use shipit::transport::Output;

use crate::guard::standing;
use crate::rig::{COMMIT, Done, NEW, OLD, Rig, id, sh, shells};

const RUN: &str = "20261121T021710Z-1a2b3c4d";
const TIME: &str = "2026-11-21T02:17:10.123Z";

fn stamped<T>(use_it: impl FnOnce(Stamp<'_>) -> T) -> T {
    let run: RunId = RUN.parse().unwrap();
    use_it(Stamp { run: &run, time: TIME, undo: false })
}

/// A note about the run as a whole, which the run's guard takes down.
fn note(rig: &Rig, kind: &str, fields: &[(&'static str, &str)], bad: &[BadRelease]) {
    let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let mut guard = standing(rig, RUN);
    guard.says(&Note { kind, fields, bad }.line(TIME));
    guard.hears(&format!("noted {kind}"));
    guard.says("end");
    guard.hears("over");
}

/// Does `action` as a step of the run.
fn step(rig: &Rig, action: &Action) -> Done {
    let script = rig.site().script(rig.host(), action).unwrap();
    stamped(|stamp| rig.run(&rig.site().recorded(rig.host(), script, action, stamp)))
}

fn journal(rig: &Rig) -> Journal {
    let done = rig.run(&rig.site().history(rig.host(), 2000));
    read_history(&Output { code: 0, stdout: done.stdout, stderr: done.stderr })
}

/// Each record in a few words.
fn words(journal: &Journal) -> Vec<String> {
    let word = |record: &shipit::model::Record| {
        assert_eq!((record.time.as_str(), record.run.as_str()), (TIME, RUN));
        let fields =
            ["do", "undo", "release", "result", "why", "who", "outcome"].iter().filter_map(|name| record.field(name));
        [record.kind.as_str()].into_iter().chain(fields).collect::<Vec<_>>().join(" ")
    };
    journal.records.iter().map(word).collect()
}

fn with_task(rig: &mut Rig, run: &str) -> Action {
    rig.recipe.tasks = vec![Task {
        name: "clear".parse().unwrap(),
        at: Moment::Updated,
        run: Template::parse(run).unwrap(),
        role: "app".parse().unwrap(),
        once: false,
        directory: Some(Template::parse("/").unwrap()),
        environment: [].into(),
        timeout: std::time::Duration::from_secs(9),
    }];
    Action::Task { name: "clear".parse().unwrap(), release: id(NEW) }
}

#[test]
fn what_fails_is_noted_without_the_secrets_of_its_address() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        rig.recipe.warm.urls = vec![Template::parse("http://ann:pass@127.0.0.1:1/up?token=word").unwrap()];
        let warm = Action::Warm { release: id(NEW), instances: vec![Instance(4040)] };
        note(&rig, "began", &[], &[]);
        let told = step(&rig, &warm).failed();
        let noted = words(&journal(&rig)).join("; ");
        for text in [told, noted] {
            assert!(text.contains("http://***@127.0.0.1:1/up?token=***"), "{}: {text}", shell.name);
            assert!(!text.contains("pass") && !text.contains("word"), "{}: {text}", shell.name);
        }
    }
}

#[test]
fn a_run_its_steps_and_their_failures_are_noted() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        let nasty = "al'ice $(touch /nowhere)\\n é * %s";
        note(&rig, "began", &[("who", nasty), ("empty", "")], &[]);
        let task = with_task(&mut rig, "true");
        step(&rig, &task).ok();
        let task = with_task(&mut rig, "exit 7");
        assert_eq!(step(&rig, &task).code(), Some(7), "{}", shell.name);
        let warm = Action::Warm { release: id(NEW), instances: vec![] };
        step(&rig, &warm).ok();
        let script = rig.site().script(rig.host(), &warm).unwrap();
        let back = |stamp: Stamp<'_>| rig.site().recorded(rig.host(), script, &warm, Stamp { undo: true, ..stamp });
        rig.run(&stamped(back)).ok();
        note(&rig, "ended", &[("outcome", "mixed")], &[]);
        let journal = journal(&rig);
        assert_eq!(journal.broken, 0, "{}", shell.name);
        let wanted = [
            format!("began {nasty}"),
            format!("step task clear {NEW} ok"),
            format!("step task clear {NEW} failed task clear failed"),
            format!("step warm {NEW} ok"),
            format!("step warm yes {NEW} ok"),
            "ended mixed".to_owned(),
        ];
        assert_eq!(words(&journal), wanted, "{}", shell.name);
        rig.assert_tidy();
    }
}

#[test]
fn a_step_does_not_fail_because_nobody_can_note_it() {
    for shell in shells() {
        let mut rig = Rig::new(&shell);
        fs::create_dir_all(rig.root.join(".shipit/journal")).unwrap();
        let task = with_task(&mut rig, "true");
        assert_eq!(step(&rig, &task).ok(), "", "{}", shell.name);
    }
}

#[test]
fn a_torn_line_costs_one_record() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        note(&rig, "began", &[("who", "alice")], &[]);
        let mut file = fs::OpenOptions::new().append(true).open(rig.root.join(".shipit/journal")).unwrap();
        file.write_all(b"123456789\t2026-11-21T02:17:10Z\t2026112").unwrap();
        note(&rig, "began", &[("who", "bob")], &[]);
        let torn = journal(&rig);
        assert_eq!((words(&torn), torn.broken), (vec!["began alice".to_owned(), "began bob".to_owned()], 1));
        sh(&rig.root, "sed -i s/alice/mallory/ .shipit/journal");
        let edited = journal(&rig);
        assert_eq!((words(&edited), edited.broken), (vec!["began bob".to_owned()], 2), "{}", shell.name);
    }
}

#[test]
fn the_journal_keeps_the_newest_thousand() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        fs::create_dir_all(rig.root.join(".shipit")).unwrap();
        sh(&rig.root, "seq 1 1300 >.shipit/journal");
        note(&rig, "began", &[("who", "alice")], &[]);
        let lines = sh(&rig.root, "wc -l <.shipit/journal; head -n 1 .shipit/journal");
        assert_eq!(lines, "1001\n301", "{}", shell.name);
        assert_eq!(words(&journal(&rig)), ["began alice"]);
        assert!(!rig.root.join(".shipit/journal.new").exists(), "{}", shell.name);
    }
}

#[test]
fn what_was_left_is_bad_and_the_first_word_on_it_stays() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        rig.release(OLD);
        let bad = |who: &str| BadRelease {
            id: id(OLD),
            fingerprint: COMMIT.parse().unwrap(),
            time: String::new(),
            who: who.to_owned(),
        };
        note(&rig, "began", &[], &[]);
        note(&rig, "ended", &[("outcome", "done")], &[bad("alice https://ci.example.com/1")]);
        note(&rig, "ended", &[("outcome", "done")], &[bad("bob")]);
        let done = rig.run(&look(&rig.site(), rig.host(), Purpose::Status, None, shipit::model::Size::default()));
        let facts = read_facts(&Output { code: 0, stdout: done.stdout, stderr: done.stderr });
        let wanted = BadRelease { time: TIME.to_owned(), ..bad("alice https://ci.example.com/1") };
        assert_eq!(facts.bad, [wanted], "{}", shell.name);
    }
}
