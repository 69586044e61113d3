//! Who runs shipit, and from where: what the hosts note of a run.

use std::process::Command;

/// `alice@laptop`; in CI the address of the job, and who started it where that is known.
pub fn who() -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let github = || {
        let (server, repository, run) = (set("GITHUB_SERVER_URL")?, set("GITHUB_REPOSITORY")?, set("GITHUB_RUN_ID")?);
        Some(format!("{server}/{repository}/actions/runs/{run}"))
    };
    let job = github().or_else(|| {
        ["CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL"].iter().find_map(|name| set(name))
    });
    let actor = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR"].iter().find_map(|name| set(name));
    match (job, actor) {
        (Some(job), Some(actor)) => format!("{actor} {job}"),
        (Some(job), None) => job,
        (None, _) => {
            let user = set("USER").or_else(|| set("LOGNAME")).or_else(|| said("id", "-un"));
            format!("{}@{}", user.as_deref().unwrap_or("unknown"), said("uname", "-n").as_deref().unwrap_or("unknown"))
        }
    }
}

fn said(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
