//! What `shipit releases` prints: which releases there are to go back to, and where.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{HostName, Observation, Paint, Release, ReleaseId, Table, Tone, clean, ranges};

/// The complete releases on the hosts, the newest first.
#[must_use]
pub fn releases(observed: &Observation, paint: Paint) -> String {
    let mut known: BTreeMap<&ReleaseId, (&Release, BTreeSet<&HostName>)> = BTreeMap::new();
    for (host, facts) in &observed.hosts {
        for release in &facts.releases {
            known.entry(&release.id).or_insert((release, BTreeSet::new())).1.insert(host);
        }
    }
    if known.is_empty() {
        return "no host has a release yet\n".to_owned();
    }
    let mut table = Table::default();
    table.row(["release", "on", "runs on", "from"].map(|heading| (Tone::Dim, heading.to_owned())));
    for (id, (release, hosts)) in known.iter().rev() {
        let running = observed.hosts.iter().filter(|(_, facts)| facts.running() == Some(*id)).map(|(host, _)| host);
        table.row([
            (Tone::Bold, id.to_string()),
            (Tone::Plain, places(hosts.iter().copied(), observed.hosts.len())),
            (Tone::Good, places(running, observed.hosts.len())),
            (Tone::Dim, clean(&release.origin)),
        ]);
    }
    table.lines("", paint).join("\n") + "\n"
}

fn places<'a>(hosts: impl Iterator<Item = &'a HostName>, all: usize) -> String {
    let hosts: Vec<&HostName> = hosts.collect();
    match hosts.len() {
        0 => "-".to_owned(),
        count if count == all => "all hosts".to_owned(),
        _ => ranges(hosts),
    }
}
