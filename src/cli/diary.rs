//! What the hosts note of a run as a whole: who began it and how, and what came of it.

use super::app::{App, Project};
use super::prepare::{Prepared, Wish};
use super::say;
use super::who::who;
use crate::driver::Fleet;
use crate::engine::{End, Outcome};
use crate::model::{BadRelease, Host, HostName, ranges};
use crate::remote::Note;
use crate::transport::OpenSsh;

/// The notes of one run.
pub struct Diary {
    who: String,
    /// The same on every host.
    fields: Vec<(&'static str, String)>,
    /// The hosts that the run is about.
    hosts: Vec<HostName>,
    /// What it goes away from.
    left: Vec<BadRelease>,
}

impl Diary {
    /// The diary of what `prepared` does for `wish`.
    pub fn new(wish: &Wish, prepared: &Prepared) -> Self {
        let (plan, who) = (&prepared.plan, who());
        let release = &plan.release;
        let fields = vec![
            ("who", who.clone()),
            ("verb", plan.verb.to_string()),
            ("strategy", plan.strategy.to_string()),
            ("release", release.id.to_string()),
            ("fingerprint", release.fingerprint.to_string()),
            ("origin", release.origin.clone()),
            ("options", wish.how.flags()),
            ("resumes", wish.resumes.as_ref().map(ToString::to_string).unwrap_or_default()),
        ];
        let left = prepared.left.iter().map(|bad| BadRelease { who: who.clone(), ..bad.clone() }).collect();
        Self { who, fields, hosts: prepared.picked.clone(), left }
    }

    /// Notes that the run begins, and what each host runs until then.
    pub async fn begin(&self, app: &App, prepared: &Prepared) {
        let replaces = |host: &Host| {
            let current = prepared.observed.hosts.get(&host.name).and_then(|facts| facts.current.as_ref());
            current.map(ToString::to_string).unwrap_or_default()
        };
        let fields = |host: &Host| [self.fields.clone(), vec![("replaces", replaces(host))]].concat();
        self.write(app, &prepared.project, &prepared.fleet, "began", fields, &[]).await;
    }

    /// Notes how the run ended, and that what it has gone back from is bad.
    pub async fn end(&self, app: &App, project: &Project, fleet: &Fleet<OpenSsh>, outcome: &Outcome) {
        // If every host is back on what was to be left, nobody has left it.
        let bad = if outcome.end == End::RolledBack { &[][..] } else { &self.left };
        let fields = vec![("outcome", outcome.end.as_str().to_owned()), ("code", outcome.end.code().to_string())];
        self.write(app, project, fleet, "ended", |_| fields.clone(), bad).await;
        if !bad.is_empty() {
            let ids: Vec<String> = bad.iter().map(|bad| bad.id.to_string()).collect();
            app.note(&format!("{} is marked as bad, by {}", ids.join(", "), self.who));
        }
    }

    async fn write(
        &self,
        app: &App,
        project: &Project,
        fleet: &Fleet<OpenSsh>,
        kind: &str,
        fields: impl Fn(&Host) -> Vec<(&'static str, String)>,
        bad: &[BadRelease],
    ) {
        let hosts: Vec<&Host> = self.hosts.iter().filter_map(|name| project.inventory.host(name)).collect();
        let silent = fleet.note(&hosts, |host| Note { kind, fields: fields(host), bad }).await;
        if let Some((_, why)) = silent.first() {
            let hosts = ranges(silent.iter().map(|(host, _)| host));
            say::warning(app.paint(), &format!("{hosts} did not note that this run {kind}: {why}"));
        }
    }
}
