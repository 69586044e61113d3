//! The journals of the hosts: written while a run goes on, read by the next one, from whichever machine.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use super::{Deed, Fleet};
use crate::model::{Host, HostName, Journal};
use crate::plan::Action;
use crate::remote::{Note, Stamp, history_at_balancer, read_history};
use crate::transport::{Progress, Script, Session, Transport};

/// Reading some lines.
const LIMIT: Duration = Duration::from_mins(1);

impl<T: Transport> Fleet<T> {
    /// Has the guard on each of `hosts` add to its journal what `note` makes of it. Returns those that did not, with the reason: a run
    /// goes on without its history.
    pub async fn note<'a>(&self, hosts: &[&Host], note: impl Fn(&Host) -> Note<'a>) -> Vec<(HostName, String)> {
        let Some(guards) = &self.guards else { return Vec::new() };
        let time = now();
        let done = join_all(hosts.iter().map(|host| {
            let note = note(host);
            let (kind, line) = (note.kind, note.line(&time));
            async move { (host.name.clone(), guards.note(&host.name, kind, line).await) }
        }));
        done.await.into_iter().filter_map(|(host, done)| Some((host, done.err()?.what))).collect()
    }

    /// The newest `records` of the journals of `hosts`; those that can't be asked are left out.
    pub async fn journals(&self, hosts: &[&Host], records: usize) -> BTreeMap<HostName, Journal> {
        let read = join_all(hosts.iter().filter_map(|host| {
            let (session, script) = (self.sessions.get(&host.name)?, self.site().history(host, records));
            Some(async move {
                let output = session.run(&script, LIMIT, &Progress::unheard()).await.ok()?;
                Some((host.name.clone(), read_history(&output)))
            })
        }));
        read.await.into_iter().flatten().collect()
    }

    /// What guards did at the balancers, as far as those can be asked; the newest `records` of each.
    pub async fn journals_of_balancers(&self, records: usize) -> Vec<(HostName, Journal)> {
        let read = join_all(self.balancers.sockets().map(|(host, session, path)| async move {
            let script = history_at_balancer(path, records);
            let output = session.run(&script, LIMIT, &Progress::unheard()).await.ok()?;
            Some((host.clone(), read_history(&output)))
        }));
        read.await.into_iter().flatten().collect()
    }

    /// `script`, which does the `deed`, with a record of how that ends, if there is a run to record.
    pub(super) fn recorded(&self, host: &Host, script: Script, deed: &Deed) -> Script {
        let Some(run) = &self.run else { return script };
        let time = match &deed.action {
            // One archive is packed for all hosts that get the same script, with the same time in it.
            Action::Upload { .. } => self.cargo.sent.get_or_init(now).clone(),
            _ => now(),
        };
        let stamp = Stamp { run, time: &time, undo: deed.back.is_some() };
        self.site().recorded(host, script, &deed.action, stamp)
    }
}

/// Now in UTC, to the millisecond; texts of this form sort by time.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
