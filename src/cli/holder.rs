//! Who runs shipit, for whoever finds the lock taken.

use std::hash::{BuildHasher, RandomState};
use std::process::Command;

use jiff::Timestamp;

use crate::driver::Watchword;
use crate::model::clean;

/// The variables that CI systems put the address of the running job in.
const JOBS: [&str; 5] = ["CI_JOB_URL", "BUILD_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "SHIPIT_JOB_URL"];

/// A word for a run that no other has: it sorts by time.
pub fn run_id(now: Timestamp) -> String {
    // The hasher's keys are the random numbers that std has.
    let random = RandomState::new().hash_one(0) & 0xffff;
    format!("{}-{random:04x}", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// What a run says of itself: `does` is its verb and environment.
pub fn watchword(run: &str, does: &str, now: Timestamp) -> Watchword {
    let mut holder =
        vec![format!("run {run}"), format!("who {}", who()), format!("since {}", now.strftime("%Y-%m-%dT%H:%M:%SZ"))];
    holder.extend(job().map(|job| format!("job {job}")));
    holder.push(format!("does {does}"));
    Watchword { run: run.to_owned(), holder: holder.iter().map(|line| clean(line)).collect() }
}

/// `user@machine`.
fn who() -> String {
    let variable =
        |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let user =
        variable(&["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "LOGNAME"]).unwrap_or_else(|| "somebody".to_owned());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| {
        let output = Command::new("uname").arg("-n").output().ok()?;
        String::from_utf8(output.stdout).ok()
    });
    format!("{user}@{}", machine.as_deref().map_or("a machine", str::trim))
}

/// The address of the CI job, if this is one.
fn job() -> Option<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let github = || {
        let (server, repository, run) = (set("GITHUB_SERVER_URL")?, set("GITHUB_REPOSITORY")?, set("GITHUB_RUN_ID")?);
        Some(format!("{server}/{repository}/actions/runs/{run}"))
    };
    JOBS.iter().find_map(|name| set(name)).or_else(github)
}
