//! A branch or tag becomes a commit: once, here, so that every host gets the same one.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::ArtifactError;
use crate::model::{Fingerprint, discreet};

/// A server that lists no references within this time is down for all we know.
const LIST_TIMEOUT: Duration = Duration::from_mins(1);

/// The commit that `reference` names in the repository at `url`. A whole commit needs no asking.
pub(super) async fn resolve(url: &str, reference: &str, project: &Path) -> Result<Fingerprint, ArtifactError> {
    if reference.len() == 40
        && let Ok(commit) = reference.parse()
    {
        return Ok(commit);
    }
    let error =
        |why: String| ArtifactError::Git { url: discreet(url), reference: reference.to_owned(), why: discreet(&why) };
    let listing = list(url, reference, project).await.map_err(error)?;
    pick(&listing, reference).ok_or_else(|| error("there is no such branch or tag".to_owned()))
}

async fn list(url: &str, reference: &str, project: &Path) -> Result<String, String> {
    let asked = ["refs/tags/", "refs/heads/"].map(|kind| format!("{kind}{reference}"));
    let child = Command::new("git")
        .args(["ls-remote", "--exit-code", "--", url])
        .args(&asked)
        .arg(format!("{}^{{}}", asked[0]))
        .current_dir(project)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSH_COMMAND", std::env::var("GIT_SSH_COMMAND").unwrap_or_else(|_| "ssh -o BatchMode=yes".to_owned()))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(LIST_TIMEOUT, child).await {
        Err(_) => return Err(format!("no answer within {}s", LIST_TIMEOUT.as_secs())),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err("git is not installed here".to_owned());
        }
        Ok(Err(error)) => return Err(error.to_string()),
        Ok(Ok(output)) => output,
    };
    // 2 is what --exit-code says when nothing fits.
    if matches!(output.status.code(), Some(0 | 2)) {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(words.lines().find(|line| !line.trim().is_empty()).unwrap_or("git failed").trim().to_owned())
}

/// A tag before a branch of the same name, as git itself decides; an annotated tag means the commit that it points at.
fn pick(listing: &str, reference: &str) -> Option<Fingerprint> {
    let named = |wanted: String| {
        listing
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(_, name)| *name == wanted)
            .map(|(commit, _)| commit)
    };
    named(format!("refs/tags/{reference}^{{}}"))
        .or_else(|| named(format!("refs/tags/{reference}")))
        .or_else(|| named(format!("refs/heads/{reference}")))
        .and_then(|commit| commit.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotated_tag_means_its_commit() {
        let (branch, tag, commit) = ("1".repeat(40), "2".repeat(40), "3".repeat(40));
        let listing = format!("{branch}\trefs/heads/v1\n{tag}\trefs/tags/v1\n{commit}\trefs/tags/v1^{{}}\n");
        assert_eq!(pick(&listing, "v1").unwrap().as_str(), commit);
        assert_eq!(pick(&listing, "v"), None);
    }
}
