//! The script of each action, with its data.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::{COMMON, Site, seconds};
use crate::model::{Host, Instance, Placeholder, Release, ReleaseId, ReleaseProof, Scope, Source, TaskName, Template};
use crate::transport::{Script, quote, word};

const PROCESS: &str = include_str!("scripts/process.sh");

impl Site<'_> {
    /// The values known about `host`.
    pub(super) fn scope<'s>(&'s self, host: &'s Host) -> Scope<'s> {
        Scope {
            host,
            environment: &self.inventory.environment,
            vars: &self.inventory.vars,
            instance: None,
            release: None,
        }
    }

    pub(super) fn stage(&self, host: &Host, release: &Release) -> Script {
        let spec = &self.recipe.release;
        let (kind, url) = match &spec.source {
            Source::Git { url, .. } => ("git", url.as_str()),
            Source::Url { url, .. } => ("url", url.as_str()),
            Source::Directory(_) | Source::Archive(_) => ("archive", ""),
        };
        self.base(host, include_str!("scripts/stage.sh"))
            .with("RELEASE", release.id.as_str())
            .with("FINGERPRINT", release.fingerprint.as_str())
            .with("ORIGIN", release.origin.replace('\n', " "))
            .with("KIND", kind)
            .with("FORMAT", self.format())
            .with("URL", url)
            .with("COMMIT", release.fingerprint.as_str())
            .with_lines("LINKED_DIRS", &spec.linked_dirs)
            .with_lines("LINKED_FILES", &spec.linked_files)
    }

    pub(super) fn task(&self, host: &Host, name: &TaskName, release: &ReleaseId) -> Option<Script> {
        let task = self.recipe.tasks.iter().find(|task| task.name == *name)?;
        let path = self.release_path(host, release);
        let scope = Scope { release: Some((release, &path)), ..self.scope(host) };
        let runs_app = host.roles.contains(&self.recipe.app.role);
        let directory = match (&task.directory, task.at, runs_app) {
            (Some(directory), _, _) => directory.plain(&scope),
            (None, crate::model::Moment::Started, _) | (None, _, false) => "/".to_owned(),
            (None, crate::model::Moment::Failed, true) => self.root(host),
            (None, _, true) => path.clone(),
        };
        let mut values = self.exported(host, Some(release));
        values.extend(task.environment.iter().map(|(name, value)| (name.clone(), value.plain(&scope))));
        let script = self
            .base(host, include_str!("scripts/task.sh"))
            .with("ENVIRONMENT", exports(&values))
            .with("RELEASE", release.as_str())
            .with("NAME", name.as_str())
            .with("DIRECTORY", directory)
            .with("COMMAND", command(&task.run, &scope))
            .with("TIMEOUT", seconds(task.timeout))
            .with("ONCE", if task.once { "yes" } else { "" });
        Some(script)
    }

    pub(super) fn activate(&self, host: &Host, release: Option<&ReleaseId>, instances: &[Instance]) -> Script {
        let script = self.process(host, include_str!("scripts/activate.sh"), release, instances);
        let script = self.commands(script, host, release, instances, &self.recipe.app.restart);
        script
            .with("ENVIRONMENT", exports(&self.exported(host, release)))
            .with("RELEASE", release.map(ReleaseId::as_str).unwrap_or_default())
            .with("RESTART_TIMEOUT", seconds(self.recipe.app.restart_timeout))
    }

    pub(super) fn health(&self, host: &Host, release: Option<&ReleaseId>, instances: &[Instance]) -> Script {
        let health = &self.recipe.health;
        let script = self.process(host, include_str!("scripts/health.sh"), release, instances);
        let script = match &self.recipe.app.logs {
            Some(logs) => self.commands(script, host, release, instances, logs),
            None => script,
        };
        script
            .with("ENVIRONMENT", exports(&self.exported(host, release)))
            .with("RELEASE", release.map(ReleaseId::as_str).unwrap_or_default())
            .with("PASSES", health.passes.to_string())
            .with("INTERVAL", health.interval.as_millis().max(10).to_string())
            .with("DEADLINE", seconds(health.deadline))
    }

    pub(super) fn warm(&self, host: &Host, release: &ReleaseId, instances: &[Instance]) -> Script {
        let warm = &self.recipe.warm;
        let path = self.release_path(host, release);
        let lines = instances.iter().flat_map(|instance| {
            let scope = Scope { instance: Some(*instance), release: Some((release, &path)), ..self.scope(host) };
            warm.urls.iter().map(move |url| format!("{instance}\t-\t{}", url.plain(&scope))).collect::<Vec<_>>()
        });
        Script::new(include_str!("scripts/warm.sh"))
            .using(PROCESS)
            .using(COMMON)
            .with_lines("INSTANCES", lines)
            .with("REQUESTS", warm.requests.to_string())
            .with("WARM_TIMEOUT", seconds(warm.timeout))
    }

    pub(super) fn confirm(
        &self,
        host: &Host,
        release: &Release,
        keep: usize,
        replaces: &[ReleaseId],
        instances: &[Instance],
    ) -> Script {
        self.process(host, include_str!("scripts/confirm.sh"), Some(&release.id), instances)
            .with("RELEASE", release.id.as_str())
            .with("DIGEST", release.fingerprint.as_str())
            .with("KEEP", keep.to_string())
            .with("REPLACES", replaces.iter().map(ReleaseId::as_str).collect::<Vec<_>>().join(" "))
    }

    /// The script that runs `command`, a line of shell that somebody typed, for at most `limit`.
    #[must_use]
    pub fn execute(&self, host: &Host, command: &str, limit: Duration) -> Script {
        self.base(host, include_str!("scripts/execute.sh"))
            .with("ENVIRONMENT", exports(&self.exported(host, None)))
            .with("COMMAND", command)
            .with("TIMEOUT", seconds(limit))
    }

    /// A script with the root and the common functions.
    pub(super) fn base(&self, host: &Host, body: &'static str) -> Script {
        Script::new(body).using(COMMON).with("ROOT", self.root(host))
    }

    /// A script that asks the app's processes.
    pub(super) fn process(
        &self,
        host: &Host,
        body: &'static str,
        release: Option<&ReleaseId>,
        instances: &[Instance],
    ) -> Script {
        let (proof, header) = match &self.recipe.health.release {
            ReleaseProof::Process => ("process", ""),
            ReleaseProof::Header(name) => ("header", name.as_str()),
            ReleaseProof::Body => ("body", ""),
        };
        let path = release.map(|release| self.release_path(host, release)).unwrap_or_default();
        let line = |instance: &Instance| {
            let release = release.map(|release| (release, path.as_str()));
            let scope = Scope { instance: Some(*instance), release, ..self.scope(host) };
            let url = self.recipe.health.url.plain(&scope);
            format!("{instance}\t{}\t{url}", listening_address(&url))
        };
        Script::new(body)
            .using(PROCESS)
            .using(COMMON)
            .with("ROOT", self.root(host))
            .with_lines("INSTANCES", instances.iter().map(line))
            .with("PROOF", proof)
            .with("HEADER", header)
            .with("HEALTH_TIMEOUT", seconds(self.recipe.health.timeout))
    }

    /// Gives the script a command for each instance, as `COMMAND_PORT`.
    pub(super) fn commands(
        &self,
        script: Script,
        host: &Host,
        release: Option<&ReleaseId>,
        instances: &[Instance],
        template: &Template,
    ) -> Script {
        let path = release.map(|release| self.release_path(host, release)).unwrap_or_default();
        instances.iter().fold(script, |script, instance| {
            let release = release.map(|release| (release, path.as_str()));
            let scope = Scope { instance: Some(*instance), release, ..self.scope(host) };
            script.with(&format!("COMMAND_{instance}"), command(template, &scope))
        })
    }

    /// Where `release` lies on `host`.
    fn release_path(&self, host: &Host, release: &ReleaseId) -> String {
        format!("{}/releases/{release}", self.root(host))
    }

    /// What every command of the user's finds in its environment.
    pub(super) fn exported(&self, host: &Host, release: Option<&ReleaseId>) -> BTreeMap<String, String> {
        let mut values = BTreeMap::from([
            ("SHIPIT_HOST".to_owned(), host.name.to_string()),
            ("SHIPIT_ADDRESS".to_owned(), host.address.to_string()),
            ("SHIPIT_ENVIRONMENT".to_owned(), self.inventory.environment.to_string()),
            ("SHIPIT_ROOT".to_owned(), self.root(host)),
        ]);
        if let Some(release) = release {
            values.insert("SHIPIT_RELEASE".to_owned(), release.to_string());
            values.insert("SHIPIT_RELEASE_PATH".to_owned(), self.release_path(host, release));
        }
        let name = |var: &str| format!("SHIPIT_VAR_{}", var.to_uppercase().replace(['-', '.'], "_"));
        values.extend(self.inventory.vars.iter().map(|(var, value)| (name(var), value.clone())));
        values
    }
}

/// The shell text that lets a command find `values`. The scripts' own variables are another matter: some have the same names.
pub(super) fn exports(values: &BTreeMap<String, String>) -> String {
    let lines: Vec<_> = values.iter().map(|(name, value)| format!("export {name}={}", quote(value))).collect();
    lines.join("\n")
}

/// A command of the user's with the values put in, each as one word of the shell.
pub(super) fn command(template: &Template, scope: &Scope<'_>) -> String {
    template.render(|placeholder: &Placeholder| word(&scope.value(placeholder)))
}

/// The address that a process listens on if it answers at `url`, as far as that can be told; `-` if it can't.
fn listening_address(url: &str) -> &str {
    let authority = url.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    match host {
        "::1" => host,
        // A name may mean several addresses, and `localhost` often does; 0.0.0.0 is none to listen for.
        _ if host.parse::<Ipv4Addr>().is_ok_and(|address| !address.is_unspecified()) => host,
        _ => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_is_looked_for_where_the_url_points() {
        for (url, address) in [
            ("http://127.0.0.1:4040/up", "127.0.0.1"),
            ("http://localhost:4040/up", "-"),
            ("http://[fd00::1]:4040/up", "-"),
            ("http://0.0.0.0:4040/up", "-"),
            ("http://[::1]:4040/up", "::1"),
            ("http://app.internal:4040/up", "-"),
            ("https://10.0.0.1/up", "10.0.0.1"),
        ] {
            assert_eq!(listening_address(url), address, "{url}");
        }
    }
}
