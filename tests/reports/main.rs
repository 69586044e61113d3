//! What a run looks like in each form, as files to read: `UPDATE=1 cargo test --test reports` writes them anew.
//!
//! `cargo test --test reports -- --ignored demo` plays a run on the terminal.

mod cases;
mod fleet;
mod history;
mod story;

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cases::{CASES, refused, unhealthy};
use libtest_mimic::{Arguments, Failed, Trial};
use shipit::engine::{End, Event, Failure, HostEnd, Outcome, Stamped};
use shipit::model::{Colour, HostName, Letters, Paint};
use shipit::plan::{Detail, Phase, show};
use shipit::report::{
    Board, Console, Github, GithubFiles, Gitlab, Jsonl, Log, Plain, Render, Reporter, Reporters, Summary, Tty,
    Verbosity, frame, hosts, lasting, log, releases, runs, status, summary, unfinished,
};
use story::{Story, plan};

/// Bytes that several writers share.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn console(&self, log: Log) -> Console {
        Console::new(Box::new(self.clone()), log)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> =
        CASES.iter().map(|(name, story)| Trial::test(*name, move || check(name, &story().tell()))).collect();
    trials.push(Trial::test("fleet", fleet_tables));
    trials.push(Trial::test(
        "a host that is down is not said to serve, nor to have what could not be sent to it",
        || {
            a_host_that_is_down();
            Ok(())
        },
    ));
    trials.push(Trial::test("hosts that fail alike are told as one, however often they were tried", || {
        hosts_that_fail_alike();
        Ok(())
    }));
    trials.push(Trial::test("a summary that GitHub takes", || {
        a_summary_that_github_takes();
        Ok(())
    }));
    trials.push(Trial::test("nobody reads", || {
        nobody_reads();
        Ok(())
    }));
    trials.push(Trial::test("demo", demo).with_ignored_flag(true));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Feeds `events` to `renderers`, with ticks between them.
fn play(events: &[Stamped], renderers: Vec<Box<dyn Render>>) {
    let mut reporters = Reporters::new(renderers);
    let mut now = 0.0;
    for event in events {
        while now + 0.5 < event.elapsed {
            now += 0.5;
            reporters.tick(now);
        }
        reporters.on(event);
    }
}

fn check(name: &str, events: &[Stamped]) -> Result<(), Failed> {
    let (Some(Event::Planned { plan, .. }), Some(Event::Finished { outcome })) =
        (events.first().map(|first| &first.event), events.last().map(|last| &last.event))
    else {
        return Err("a run begins with a plan and ends with an outcome".into());
    };
    let elapsed = events.last().map_or(0.0, |last| last.elapsed);
    let log = |verbosity| {
        let out = Shared::default();
        play(events, vec![Box::new(Plain::new(out.console(Log::Unread), Paint::PLAIN, verbosity))]);
        out.text()
    };
    let small = plan.fleet.len() < 10;
    let github = github(name, events);
    let mut files = vec![
        ("plain.txt", log(Verbosity::Normal)),
        ("quiet.txt", log(Verbosity::Quiet)),
        ("summary.txt", summary(plan, outcome, elapsed, Paint::PLAIN)),
    ];
    files.push(("screen.txt", screens(events)));
    if small {
        files.push(("verbose.txt", log(Verbosity::Verbose)));
    }
    if name == "put-back" {
        files.push(("gitlab.txt", gitlab(events)));
    }
    if small || name == "many-fail" {
        files.push(("github.txt", github.0.clone()));
        files.push(("github.md", github.1.clone()));
    }
    if ["canary", "many"].contains(&name) {
        files.push(("plan.txt", show(plan, None, Detail::Waves, Paint::PLAIN)));
    }
    if name == "canary" {
        files.push(("plan-v.txt", show(plan, None, Detail::Steps, Paint::PLAIN)));
        files.push(("events.jsonl", jsonl(events, "")));
    }
    if name == "preboot" {
        files.push(("events.jsonl", jsonl(events, "\"host\":\"web1\"")));
    }
    let mut faults = harmless(&github.0);
    faults.extend(files.iter().filter_map(|(file, text)| compare(name, file, text)));
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// The tables that are no part of a run.
fn fleet_tables() -> Result<(), Failed> {
    let (inventory, recipe) = (fleet::inventory(), fleet::recipe());
    let mut left_out = plan(8, 0, 2, 6);
    left_out.waves[2].lanes.drain(..2);
    left_out.waves[2].lanes.remove(2);
    let (two, seen) = fleet::two_backends();
    let ascii = Paint { letters: Letters::Ascii, ..Paint::PLAIN };
    let files = [
        ("status.txt", status(&inventory, &recipe, &fleet::calm(), Paint::PLAIN)),
        ("releases.txt", releases(&history::releases(), Paint::PLAIN)),
        ("runs.txt", runs(&history::runs(), Paint::PLAIN)),
        ("runs-none.txt", runs(&[], Paint::PLAIN)),
        ("log.txt", log(&history::runs()[1], Paint::PLAIN)),
        ("unfinished.txt", unfinished(&history::runs()[0], &history::running(), Paint::PLAIN)),
        ("status-odd.txt", status(&inventory, &recipe, &fleet::odd(), Paint::PLAIN)),
        ("status-two-backends.txt", status(&two, &recipe, &seen, Paint::PLAIN)),
        ("hosts.txt", hosts(&inventory.hosts, Paint::PLAIN)),
        ("plan-left-out.txt", show(&left_out, Some(&fleet::odd()), Detail::Waves, ascii)),
    ];
    let faults: Vec<String> = files.iter().filter_map(|(file, text)| compare("fleet", file, text)).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

fn a_host_that_is_down() {
    let mut plan = plan(3, 0, 1, 1);
    let state = |host: &HostName| HostEnd {
        release: None,
        serving: host.as_str() != "web3",
        note: "not touched".to_owned(),
        trouble: false,
    };
    let hosts = plan.fleet.iter().map(|host| (host.clone(), state(host))).collect();
    let mut outcome = Outcome { end: End::RolledBack, hosts, failures: vec![], notes: vec![] };
    let told = summary(&plan, &outcome, 1.0, Paint::PLAIN);
    assert!(told.contains("exit 20: failed and rolled back, all serving that did before"), "{told}");
    outcome.end = End::Mixed;
    plan.skipped = vec!["web3".parse().unwrap()];
    let told = summary(&plan, &outcome, 1.0, Paint::PLAIN);
    assert!(told.contains("go on with `shipit deploy production` when web3 can be reached"), "{told}");
    plan.waves.retain(|wave| wave.phase != Phase::Prepare);
    let told = summary(&plan, &outcome, 1.0, Paint::PLAIN);
    assert!(told.contains("go on with `shipit deploy production --release 20"), "{told}");
}

fn hosts_that_fail_alike() {
    let plan = plan(3, 0, 1, 1);
    let refused = |(count, host): (usize, &HostName)| {
        let instance =
            |port| format!("instance {port} did not get healthy in 10s: HTTP 500, from http://x/, {count} tries");
        (host.clone(), "health".to_owned(), Failure::new(format!("{}; {}", instance(4040), instance(4041))))
    };
    let failures = plan.fleet.iter().enumerate().map(refused).collect();
    let outcome = Outcome { end: End::NeedsPerson, hosts: [].into(), failures, notes: vec![] };
    let told = summary(&plan, &outcome, 1.0, Paint::PLAIN);
    assert_eq!(told.matches("error:").count(), 1, "{told}");
    assert!(told.contains("3 hosts failed at health"), "{told}");
}

/// A page over 1 MiB is dropped whole, so it is cut before.
fn a_summary_that_github_takes() {
    let plan = plan(150, 0, 100, 100);
    let failure = Failure { output: vec!["<&>".repeat(120); 20], ..refused() };
    let state = HostEnd { release: None, serving: false, note: "half changed | and more".to_owned(), trouble: true };
    let outcome = Outcome {
        end: End::NeedsPerson,
        hosts: plan.fleet.iter().map(|host| (host.clone(), state.clone())).collect(),
        failures: plan.fleet.iter().map(|host| (host.clone(), "health".to_owned(), failure.clone())).collect(),
        notes: vec![],
    };
    let planned = Event::Planned { run: "r".to_owned(), plan };
    let events = [planned, Event::Finished { outcome }].map(|event| Stamped { elapsed: 0.0, event });
    let (log, page) = github("cut", &events);
    let annotations = log.lines().filter(|line| line.starts_with("::error")).count();
    assert_eq!(annotations, 10, "GitHub keeps ten annotations a step");
    assert!((800 << 10..1 << 20).contains(&page.len()) && page.contains("There is more"), "{}", page.len());
}

/// A reader that went away ends no run.
fn nobody_reads() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }
    let console = || Console::new(Box::new(Closed), Log::Unread);
    let nowhere = || Some(PathBuf::from("/nonexistent/file"));
    let files = GithubFiles { summary: nowhere(), output: nowhere() };
    let events = Story::new(plan(8, 1, 2, 6)).with_fault(unhealthy).tell();
    play(
        &events,
        vec![
            Box::new(Plain::new(console(), Paint::PLAIN, Verbosity::Verbose)),
            Box::new(Jsonl::new(Box::new(Closed), "2026-11-20T22:45:12Z".parse().unwrap())),
            Box::new(Github::new(console(), files)),
            Box::new(Summary::new(console(), Paint::PLAIN, Verbosity::Normal)),
        ],
    );
}

/// The log of a run in GitLab.
fn gitlab(events: &[Stamped]) -> String {
    let out = Shared::default();
    let began = "2026-11-20T22:45:12Z".parse().unwrap();
    let console = || out.console(Log::Parsed);
    let plain = Plain::new(console(), Paint::PLAIN, Verbosity::Normal);
    play(events, vec![Box::new(Gitlab::new(console(), plain, began))]);
    out.text().escape_debug().to_string().replace("\\n", "\n")
}

/// A terminal of 24 lines at a few moments, and what stays on it.
fn screens(events: &[Stamped]) -> String {
    let mut board: Option<Board> = None;
    let (mut text, mut next) = (String::new(), 2.5);
    for event in events {
        if let Some(board) = board.as_mut().filter(|_| event.elapsed > next) {
            board.now = f64::max(board.now, next);
            let frame = frame(board, (80, 24), Paint::PLAIN).join("\n");
            let _ = write!(text, "{frame}\n\n-------- {next:.1}s\n");
            next *= 1.7;
        }
        if let Event::Planned { run, plan } = &event.event {
            board = Some(Board::new(run, plan.clone()));
        }
        let Some(board) = &mut board else { continue };
        for line in board.fold(event).iter().flat_map(|news| lasting(board, news, Paint::PLAIN)) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// What GitHub gets: the log with its commands, then the outputs; and the summary's page.
fn github(name: &str, events: &[Stamped]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &str| folder.path().join(format!("{name}-{file}"));
    let files = GithubFiles { summary: Some(path("summary")), output: Some(path("output")) };
    let out = Shared::default();
    let console = || out.console(Log::Parsed);
    play(
        events,
        vec![
            Box::new(Github::with_token(console(), files, "shipit-TOKEN".to_owned())),
            Box::new(Summary::new(console(), Paint::PLAIN, Verbosity::Normal)),
        ],
    );
    let outputs = fs::read_to_string(path("output")).unwrap();
    (format!("{}--- $GITHUB_OUTPUT\n{outputs}", out.text()), fs::read_to_string(path("summary")).unwrap())
}

/// A few lines of the log for programs, of those with `some` in them, and the last.
fn jsonl(events: &[Stamped], some: &str) -> String {
    let out = Shared::default();
    let began = "2026-11-20T22:45:12Z".parse().unwrap();
    play(events, vec![Box::new(Jsonl::new(Box::new(out.clone()), began))]);
    let text = out.text();
    for (line, event) in text.lines().zip(events) {
        let back: Stamped = serde_json::from_str(line).unwrap();
        assert_eq!(back.event, event.event, "a line says what the event says");
        assert!((back.elapsed - event.elapsed).abs() < 1e-3);
    }
    assert!(text.lines().last().unwrap().contains("\"code\":0"), "the last line has the code");
    // The first line holds the whole plan, which other files show better.
    let lines = text.lines().skip(1).filter(|line| line.contains(some)).take(12);
    let lines: Vec<&str> = lines.chain(text.lines().last()).collect();
    lines.join("\n") + "\n"
}

/// Nothing in a log that GitHub parses is a command, but those of shipit, and nothing acts on a terminal.
fn harmless(log: &str) -> Vec<String> {
    let ours = [
        "::group::",
        "::endgroup::",
        "::stop-commands::shipit-TOKEN",
        "::shipit-TOKEN::",
        "::error title=",
        "::warning title=",
    ];
    let is_bad = |line: &&str| {
        line.contains("##[")
            || line.chars().any(char::is_control)
            || (line.trim_start().starts_with("::") && !ours.iter().any(|word| line.starts_with(word)))
    };
    log.lines().filter(is_bad).map(|line| format!("this line acts: {line:?}")).collect()
}

fn compare(name: &str, file: &str, text: &str) -> Option<String> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports").join(name).join(file);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return None;
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    let (number, (now, then)) =
        text.lines().zip(known.lines().chain(std::iter::repeat(""))).enumerate().find(|(_, (a, b))| a != b)?;
    Some(format!("{}:{}\n  was {then}\n  now {now}", path.display(), number + 1))
}

/// Plays a run on this terminal, `SPEED` times as fast as it would be.
fn demo() -> Result<(), Failed> {
    let speed: f64 = std::env::var("SPEED").ok().and_then(|it| it.parse().ok()).unwrap_or(4.0);
    let name = std::env::var("CASE").unwrap_or_else(|_| "broken".to_owned());
    let (_, story) = CASES.iter().find(|(case, _)| *case == name).ok_or("no such case")?;
    let paint = Paint {
        colour: if std::env::var_os("NO_COLOR").is_some() { Colour::Off } else { Colour::On },
        letters: Letters::Unicode,
    };
    let end = Summary::new(Console::new(Box::new(std::io::stderr()), Log::Unread), paint, Verbosity::Normal);
    let mut reporters = Reporters::new(vec![Box::new(Tty::new(paint)), Box::new(end)]);
    let mut now = 0.0;
    for event in story().tell() {
        while now < event.elapsed {
            std::thread::sleep(std::time::Duration::from_secs_f64(0.1 / speed));
            now += 0.1;
            reporters.tick(now);
        }
        reporters.on(&event);
    }
    Ok(())
}
