//! The lock on a fleet, as people meet it: in their way, and in their hands.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::app::{App, print};
use super::args::{AnyEnvironment, Lock};
use super::exit::Exit;
use super::holder::{run_id, watchword};
use super::open::Open;
use super::prepare::needed;
use super::say;
use crate::driver::{Fleet, LockHeld, Watchword};
use crate::model::{Failure, Host, HostName, clean, friendly};
use crate::remote::{LockState, LockVerb, read_lock};
use crate::transport::{OpenSsh, Output};

/// How often to see whether somebody else's deploy is over. A deploy takes a minute; an attempt costs each host a shell.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Locks the `picked` hosts and the balancers, or says who else has.
pub async fn lock(app: &App, fleet: &mut Fleet<OpenSsh>, watchword: &Watchword, picked: &[&Host]) -> Result<(), Exit> {
    let end = Instant::now() + app.global.lock_wait.unwrap_or_default();
    let mut told = false;
    loop {
        let Err(held) = fleet.guard(watchword, picked, |what| app.note(what)).await else { return Ok(()) };
        if Instant::now() >= end {
            return Err(app.refuse(
                Exit::Locked,
                &words(&held),
                Some(&way_out(&held, &fleet.site().inventory.environment)),
            ));
        }
        if !told {
            let left = friendly(end - Instant::now());
            app.note(&format!("{}; waiting up to {left}", words(&held)));
            told = true;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Waits, as long as `--lock-wait` says, until no run is under way on the balancers that `open` leads to; says who it is
/// and the way out if one still is. Nothing is held: what is done by hand is done in a moment. A lock that a person took
/// keeps others from deploying, not from this.
pub async fn quiet(app: &App, open: &Open, force: bool) -> Result<(), Exit> {
    let end = Instant::now() + app.global.lock_wait.unwrap_or_default();
    loop {
        let Some((holder, by_hand)) = who_holds(open, &[]).await else { return Ok(()) };
        if by_hand || force {
            say::warning(app.paint(), &words(&holder));
            return Ok(());
        }
        if Instant::now() >= end {
            let way_out = "what it has under way would not expect this: wait for it with `--lock-wait 10m`, or do it all the same with `--force`";
            return Err(app.refuse(Exit::Locked, &words(&holder), Some(way_out)));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Warns if somebody holds the lock of one of `hosts`.
pub async fn warn_if_held(app: &App, open: &Open, hosts: &[&Host]) {
    if let Some((held, _)) = who_holds(open, hosts).await {
        say::warning(app.paint(), &words(&held));
    }
}

/// Who holds the lock of one of `hosts` or of a balancer, in words.
pub async fn held(open: &Open, hosts: &[&Host]) -> Option<String> {
    who_holds(open, hosts).await.map(|(held, _)| words(&held))
}

/// Who holds the lock of one of `hosts` or of a balancer, and whether that is a person.
async fn who_holds(open: &Open, hosts: &[&Host]) -> Option<(LockHeld, bool)> {
    let answers = open.fleet.lock(hosts, &LockVerb::Status).await;
    let states = answers.into_iter().filter_map(|(host, answer)| Some((host, read_lock(&answer.ok()?))));
    let mut held = states.filter(|(_, state)| !state.holder.is_empty());
    held.next().map(|(host, state)| (LockHeld { host, holder: state.holder }, state.by_hand))
}

/// `shipit lock`.
pub async fn run(app: &App, args: &Lock) -> Exit {
    match args {
        Lock::Status { environment } => {
            let asked = ask(app, environment, &LockVerb::Status).await;
            asked.map_or_else(|exit| exit, |(_, answers)| status(answers))
        }
        Lock::Take { environment, reason } => {
            let now = Timestamp::now();
            let mut holder = watchword(&run_id(now), "lock", now).holder;
            holder.push(format!("reason {}", clean(reason)));
            change(app, environment, &LockVerb::Take(holder)).await
        }
        Lock::Break { environment, holder } => change(app, environment, &LockVerb::Break(holder.clone())).await,
    }
}

type Answers = Vec<(HostName, Result<Output, Failure>)>;

async fn ask(app: &App, environment: &AnyEnvironment, verb: &LockVerb) -> Result<(String, Answers), Exit> {
    let environment = app.environment(environment)?;
    let open = Open::connect(app, &environment, |project| {
        Ok(needed(&project.inventory, &project.recipe, &Open::apps(project)))
    })
    .await?;
    let mut answers = open.fleet.lock(&Open::apps(&open.project), verb).await;
    let hosts = needed(&open.project.inventory, &open.project.recipe, &Open::apps(&open.project));
    answers.extend(hosts.iter().filter_map(|host| {
        let error = open.fleet.unreachable(&host.name)?;
        Some((host.name.clone(), Err(Failure { help: error.help.clone(), ..Failure::new(error.what.clone()) })))
    }));
    open.close().await;
    Ok((environment.environment, answers))
}

/// Prints who holds the lock where. The code says whether a deploy would get it.
fn status(answers: Answers) -> Exit {
    let (mut text, mut exit) = (String::new(), Exit::Done);
    // Alike on all hosts, most often; that is said once.
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (host, answer) in answers {
        let words = match answer {
            Err(failure) => {
                exit = Exit::Preflight;
                format!("can't be asked: {}", clean(&failure.what))
            }
            Ok(output) => {
                let state = read_lock(&output);
                if !state.holder.is_empty() && exit == Exit::Done {
                    exit = Exit::Locked;
                }
                state_words(&state)
            }
        };
        seen.entry(words).or_default().push(host.to_string());
    }
    for (words, mut hosts) in seen {
        hosts.sort();
        hosts.dedup();
        let _ = writeln!(text, "{}: {words}", hosts.join(" "));
    }
    print(&text);
    exit
}

fn state_words(state: &LockState) -> String {
    let mut words = if state.holder.is_empty() {
        "free".to_owned()
    } else {
        format!("held by {}{}", who(&state.holder), details(&state.holder))
    };
    if let Some(broken) = &state.broken {
        let _ = write!(words, "; needs a person: {broken}");
    }
    words
}

/// Does something with every lock, and tells of those where it could not be done.
async fn change(app: &App, environment: &AnyEnvironment, verb: &LockVerb) -> Exit {
    let (environment, answers) = match ask(app, environment, verb).await {
        Ok(asked) => asked,
        Err(exit) => return exit,
    };
    let (mut done, mut exit) = (0, Exit::Done);
    for (host, answer) in answers {
        match answer {
            Err(failure) => {
                say::error(app.paint(), &format!("{host}: {}", clean(&failure.what)), failure.help.as_deref());
                exit = Exit::Locked;
            }
            // Where there was nothing to break it says nothing.
            Ok(output) if matches!(verb, LockVerb::Break(_)) && output.stdout.trim().is_empty() => {}
            Ok(_) => done += 1,
        }
    }
    match verb {
        LockVerb::Take(holder) => {
            let run = holder.iter().find_map(|line| line.strip_prefix("run ")).unwrap_or_default();
            app.note(&format!("locked on {done} hosts; `shipit lock break {run} {environment}` ends it"));
        }
        LockVerb::Break(id) if done == 0 && exit == Exit::Done => {
            let help = "`shipit lock status` shows who holds it";
            return app.refuse(Exit::Usage, &format!("nobody who calls himself {id} holds the lock"), Some(help));
        }
        LockVerb::Break(_) => app.note(&format!("the lock is broken on {done} hosts")),
        LockVerb::Status => {}
    }
    exit
}

fn who(holder: &BTreeMap<String, String>) -> &str {
    holder.get("who").map_or("somebody", String::as_str)
}

fn details(holder: &BTreeMap<String, String>) -> String {
    let details = ["since", "does", "reason", "run"].into_iter().filter_map(|name| detail(holder, name));
    let details: Vec<String> = details.collect();
    if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) }
}

/// Who holds the lock.
fn words(held: &LockHeld) -> String {
    let LockHeld { host, holder } = held;
    clean(&format!("{} holds the lock on {host}{}", who(holder), details(holder)))
}

fn detail(holder: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let value = holder.get(name)?;
    Some(match name {
        "since" | "run" => format!("{name} {value}"),
        _ => value.clone(),
    })
}

fn way_out(held: &LockHeld, environment: &impl std::fmt::Display) -> String {
    let run = held.holder.get("run").map_or("HOLDER", String::as_str);
    format!("wait for it with `--lock-wait 10m`; if nobody is at it any more, `shipit lock break {run} {environment}`")
}
