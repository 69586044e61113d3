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
    table.row(["release", "state", "on", "runs on", "from"].map(|heading| (Tone::Dim, heading.to_owned())));
    for (id, (release, hosts)) in known.iter().rev() {
        let running = observed.hosts.iter().filter(|(_, facts)| facts.running() == Some(*id)).map(|(host, _)| host);
        table.row([
            (Tone::Bold, id.to_string()),
            state(observed, id),
            (Tone::Plain, places(hosts.iter().copied(), observed.hosts.len())),
            (Tone::Good, places(running, observed.hosts.len())),
            (Tone::Dim, clean(&release.origin)),
        ]);
    }
    table.lines("", paint).join("\n") + "\n"
}

/// Whether it can be gone back to.
fn state(observed: &Observation, id: &ReleaseId) -> (Tone, String) {
    if let Some(bad) = observed.hosts.values().flat_map(|facts| &facts.bad).find(|bad| bad.id == *id) {
        return (Tone::Bad, format!("bad: {} went back from it at {}", clean(&bad.who), clean(&bad.time)));
    }
    let confirmed = observed.hosts.values().any(|facts| facts.confirmed.contains(id));
    if confirmed { (Tone::Good, "confirmed".to_owned()) } else { (Tone::Wait, "unfinished".to_owned()) }
}

fn places<'a>(hosts: impl Iterator<Item = &'a HostName>, all: usize) -> String {
    let hosts: Vec<&HostName> = hosts.collect();
    match hosts.len() {
        0 => "-".to_owned(),
        count if count == all => "all hosts".to_owned(),
        _ => ranges(hosts),
    }
}
