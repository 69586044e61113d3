//! A look at a host: the script and what its answer says.

use std::time::Duration;

use super::answer::words;
use super::render::command;
use super::{LEAST_FREE_KB, Site};
use crate::model::{
    BadRelease, Fingerprint, Host, HostFacts, Instance, InstanceFacts, Problem, Reach, Release, Size, Source, Template,
    discreet,
};
use crate::transport::{Output, Script, word};

/// What a look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To know what runs.
    Status,
    /// To know, besides, what stands in the way of a deploy.
    Deploy,
    /// The same for a release that is there already: a full disk is a reason to go back, and no obstacle.
    Return,
}

/// The script that looks at `host`. `coming` is what a deploy would send or fetch, that takes this room.
#[must_use]
pub fn look(site: &Site<'_>, host: &Host, purpose: Purpose, coming: Option<&Fingerprint>, room: Size) -> Script {
    let recipe = site.recipe;
    let (least, inodes) = match purpose {
        Purpose::Return => (0, 0),
        Purpose::Deploy | Purpose::Status => (room.bytes.div_ceil(1024).max(LEAST_FREE_KB), room.entries + 16),
    };
    let stop = recipe.preboot.as_ref().map(|preboot| &preboot.stop);
    let script = site.process(host, include_str!("scripts/observe.sh"), None, &recipe.instances());
    site.with_routes(script, host)
        .with("PURPOSE", if purpose == Purpose::Status { "status" } else { "deploy" })
        .with("MEMORY", if purpose != Purpose::Status && recipe.preboot.is_some() { "yes" } else { "" })
        .with("DIGEST", coming.map(Fingerprint::as_str).unwrap_or_default())
        .with_lines("LINKED_FILES", &recipe.release.linked_files)
        .with_lines("SUDO", sudo_commands(site, host, &[Some(&recipe.app.restart), stop]))
        .with_lines("SUDO_LOGS", sudo_commands(site, host, &[recipe.app.logs.as_ref()]))
        .with_lines("TOOLS", tools(Some(&recipe.release.source).filter(|_| purpose == Purpose::Deploy)))
        .with("NEED_KB", least.to_string())
        .with("NEED_INODES", inodes.to_string())
}

/// What a host must have for a deploy, beyond what POSIX demands; `source` is what a release is made from there.
fn tools(source: Option<&Source>) -> Vec<&'static str> {
    let mut tools = vec!["curl", "awk", "timeout", "flock"];
    let Some(source) = source else { return tools };
    tools.push("tar");
    match source {
        Source::Git { .. } => tools.push("git"),
        Source::Directory(_) | Source::Archive(_) | Source::Url { .. } => tools.push("sha256sum"),
    }
    let name = match source {
        Source::Archive(path) => path.to_string_lossy().into_owned(),
        Source::Url { url, .. } => url.clone(),
        Source::Git { .. } | Source::Directory(_) => return tools,
    };
    match super::format_of(&name) {
        Some("zst") => tools.push("zstd"),
        Some("xz") => tools.push("xz"),
        Some("bz2") => tools.push("bzip2"),
        _ => {}
    }
    tools
}

/// What `commands` of the recipe run by `sudo` for its instances, for `sudo -l` to judge: `-u USER` where there is one, `--`, and the command,
/// quoted.
fn sudo_commands(site: &Site<'_>, host: &Host, commands: &[Option<&Template>]) -> Vec<String> {
    let scope = |instance| crate::model::Scope { instance: Some(instance), ..site.scope(host) };
    let each = |instance| commands.iter().flatten().map(move |one| command(one, &scope(instance)));
    site.recipe.instances().into_iter().flat_map(each).flat_map(|command| run_by_sudo(&command)).collect()
}

/// The commands in `text` that are surely run by `sudo`, as far as they can be known without running the rest.
pub(super) fn run_by_sudo(text: &str) -> Vec<String> {
    // A piece that is no list of words is the first half of a quoted text, and what follows is the rest of it.
    text.split([';', '|', '&', '\n', '<', '>'])
        .map_while(shlex::split)
        .filter_map(|words| sudo_arguments(&words))
        .collect()
}

fn sudo_arguments(words: &[String]) -> Option<String> {
    let (sudo, mut rest) = words.split_first()?;
    // What the shell makes of these is not known here.
    if !(sudo == "sudo" || sudo.ends_with("/sudo"))
        || words.iter().any(|one| one.contains(['$', '`', '*', '?', '[', '~']))
    {
        return None;
    }
    let mut user = String::new();
    loop {
        rest = match rest {
            [dash, after @ ..] if dash == "--" => break rest = after,
            [flag, name, after @ ..] if matches!(flag.as_str(), "-u" | "--user") => {
                user = format!("-u {} ", word(name));
                after
            }
            [flag, after @ ..] if matches!(flag.as_str(), "-n" | "--non-interactive" | "-E" | "-H" | "-b") => after,
            [flag, ..] if flag.starts_with('-') => return None,
            [variable, after @ ..] if variable.contains('=') => after,
            _ => break,
        };
    }
    let command: Vec<String> = rest.iter().map(|one| word(one)).collect();
    (!command.is_empty()).then(|| format!("{user}-- {}", command.join(" ")))
}

/// Reads the answer of the script.
#[must_use]
pub fn read_facts(output: &Output) -> HostFacts {
    let text = &output.stdout;
    if output.code != 0 {
        let why = words(text, "fail").next().map_or_else(|| output.stderr.trim().to_owned(), str::to_owned);
        return HostFacts {
            reach: Reach::Unreachable(format!("the look at it failed: {}", discreet(&why))),
            ..HostFacts::default()
        };
    }
    HostFacts {
        reach: Reach::Reached,
        current: words(text, "current").next().and_then(|id| id.parse().ok()),
        releases: words(text, "release").filter_map(release).collect(),
        confirmed: words(text, "confirmed").filter_map(|id| id.parse().ok()).collect(),
        bad: words(text, "bad").filter_map(bad).collect(),
        instances: words(text, "instance").filter_map(|line| instance(line, text)).collect(),
        idle: Vec::new(),
        warm_for: words(text, "warm").find_map(|seconds| seconds.parse().ok()).map(Duration::from_secs),
        free_memory: words(text, "available").find_map(|kb| kb.parse().ok()),
        routed: super::route::read_routed(text),
        archive_cached: text.lines().any(|line| line == "cached"),
        problems: words(text, "problem").map(problem).collect(),
        notes: words(text, "note").map(problem).collect(),
    }
    .sorted()
}

fn release(line: &str) -> Option<Release> {
    let mut parts = line.splitn(3, ' ');
    Some(Release {
        id: parts.next()?.parse().ok()?,
        fingerprint: parts.next()?.parse().ok()?,
        origin: discreet(parts.next().unwrap_or_default()),
    })
}

/// `ID FINGERPRINT TIME WHO`.
fn bad(line: &str) -> Option<BadRelease> {
    let mut parts = line.splitn(4, ' ');
    let (id, fingerprint) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let mut text = || parts.next().unwrap_or_default().to_owned();
    Some(BadRelease { id, fingerprint, time: text(), who: text() })
}

/// `PORT RELEASES HEALTHY`; more than one release on a port is no answer to "which release runs".
fn instance(line: &str, text: &str) -> Option<InstanceFacts> {
    let mut parts = line.split(' ');
    let port = parts.next()?;
    Some(InstanceFacts {
        instance: Instance(port.parse().ok()?),
        running: parts.next()?.parse().ok(),
        healthy: parts.next()? == "yes",
        memory: memory(text, port),
    })
}

fn memory(text: &str, port: &str) -> Option<u64> {
    words(text, "memory").filter_map(|line| line.split_once(' ')).find(|(of, _)| *of == port)?.1.parse().ok()
}

pub(super) fn problem(line: &str) -> Problem {
    let (what, help) = line.split_once('\t').unwrap_or((line, ""));
    Problem { what: discreet(what), help: (!help.is_empty()).then(|| help.to_owned()) }
}

impl HostFacts {
    /// Instances answer in any order; people and plans want one.
    fn sorted(mut self) -> Self {
        self.instances.sort_by_key(|one| one.instance);
        self.routed.sort_unstable();
        self.releases.sort_by(|one, other| one.id.cmp(&other.id));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_sudo_surely_runs_is_asked_about() {
        for (text, asked) in [
            ("sudo -n systemctl restart app@4040", vec!["-- systemctl restart app@4040"]),
            ("sudo -n -u app bin/restart 'a b'", vec!["-u app -- bin/restart 'a b'"]),
            ("sudo -n stop it; sudo -n start it", vec!["-- stop it", "-- start it"]),
            ("cd x && /usr/bin/sudo LANG=C -- -odd", vec!["-- -odd"]),
            ("sudo sh -c 'a; sudo b; c'", vec![]),
            ("sudo -i restart", vec![]),
            ("sudo -n systemctl restart \"$UNIT\"", vec![]),
            ("sudo -n rm -f tmp/*", vec![]),
            ("bin/restart --with sudo", vec![]),
            ("sudo", vec![]),
        ] {
            assert_eq!(run_by_sudo(text), asked, "{text}");
        }
    }
}
