//! The lock on a fleet, as people meet it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::app::App;
use super::exit::Exit;
use crate::driver::{Fleet, LockHeld, Watchword};
use crate::model::{Host, clean, friendly};
use crate::transport::OpenSsh;

/// How often to see whether somebody else's deploy is over. A deploy takes a minute; an attempt costs each host a shell.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Locks the `picked` hosts and the balancers, or says who else has.
pub async fn lock(app: &App, fleet: &mut Fleet<OpenSsh>, watchword: &Watchword, picked: &[&Host]) -> Result<(), Exit> {
    let end = Instant::now() + app.global.lock_wait.unwrap_or_default();
    let mut told = false;
    loop {
        let Err(held) = fleet.guard(watchword, picked, |what| app.note(what)).await else { return Ok(()) };
        if Instant::now() >= end {
            return Err(app.refuse(Exit::Locked, &words(&held), Some(&way_out(&held))));
        }
        if !told {
            let left = friendly(end - Instant::now());
            app.note(&format!("{}; waiting up to {left}", words(&held)));
            told = true;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Who holds the lock.
fn words(held: &LockHeld) -> String {
    let LockHeld { host, holder } = held;
    let who = holder.get("who").map_or("somebody", String::as_str);
    let details = ["since", "does", "job", "reason", "run"].into_iter().filter_map(|name| detail(holder, name));
    let details: Vec<String> = details.collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    clean(&format!("{who} holds the lock on {host}{details}"))
}

fn detail(holder: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let value = holder.get(name)?;
    Some(match name {
        "since" | "run" => format!("{name} {value}"),
        _ => value.clone(),
    })
}

fn way_out(held: &LockHeld) -> String {
    let run = held.holder.get("run").map_or("HOLDER", String::as_str);
    format!("wait for it with `--lock-wait 10m`; if nobody is at it any more, `shipit lock break {run}`")
}
