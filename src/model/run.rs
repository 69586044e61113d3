//! Runs of shipit, as the hosts' journals tell them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{HostName, Journal, Record, Release, ReleaseId};

/// The name of a run: when it began, in UTC, and a random word, as `20261121T021710Z-1a2b3c4d`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RunId(String);

/// What a run puts into service: something new, or what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// A release that somebody chose.
    #[default]
    Deploy,
    /// The release before.
    Rollback,
}

/// A run, put together from the journals of its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// When it began, in UTC.
    pub time: String,
    /// Who ran it: `alice@laptop`, or the address of a CI job.
    pub who: Option<String>,
    /// What it was to do.
    pub verb: Verb,
    /// By which strategy.
    pub strategy: Option<String>,
    /// The flags that it was given, as words of a shell.
    pub options: Option<String>,
    /// The release that it was about.
    pub release: Option<Release>,
    /// The run that it went on with.
    pub resumes: Option<RunId>,
    /// How it ended; `None` if nobody has noted an end: it was cut off, or is under way.
    pub outcome: Option<String>,
    /// What each host ran before.
    pub hosts: BTreeMap<HostName, Option<ReleaseId>>,
    /// All records with their hosts, in order of time.
    #[serde(skip)]
    pub records: Vec<(HostName, Record)>,
}

/// The kind of record that a guard leaves; those at balancers say nothing of which hosts the run was about.
const GUARD: &str = "guard";

impl Run {
    /// The runs that `journals` know of, the newest first.
    #[must_use]
    pub fn merge(journals: &BTreeMap<HostName, Journal>) -> Vec<Self> {
        let mut runs: BTreeMap<&RunId, Vec<(HostName, Record)>> = BTreeMap::new();
        for (host, journal) in journals {
            for record in &journal.records {
                runs.entry(&record.run).or_default().push((host.clone(), record.clone()));
            }
        }
        let mut runs: Vec<Self> = runs.into_iter().map(|(id, records)| Self::of(id, records)).collect();
        // Not by their names alone: two may begin within a second, and one that waited for the lock came after those that it waited for.
        runs.sort_by(|one, other| (&other.time, &other.id).cmp(&(&one.time, &one.id)));
        runs
    }

    fn of(id: &RunId, mut records: Vec<(HostName, Record)>) -> Self {
        // By host where the time is the same; each host's own records stay in their order.
        records.sort_by(|(_, one), (_, other)| one.time.cmp(&other.time));
        let of_kind = |kind: &'static str| records.iter().filter(move |(_, record)| record.kind == kind);
        let told = |name: &str| of_kind("began").find_map(|(_, record)| record.field(name)).map(str::to_owned);
        let release = || {
            let id = told("release")?.parse().ok()?;
            Some(Release {
                id,
                fingerprint: told("fingerprint")?.parse().ok()?,
                origin: told("origin").unwrap_or_default(),
            })
        };
        let replaced = |record: &Record| record.field("replaces").and_then(|id| id.parse().ok());
        let mut hosts: BTreeMap<HostName, Option<ReleaseId>> =
            records.iter().filter(|(_, record)| record.kind != GUARD).map(|(host, _)| (host.clone(), None)).collect();
        hosts.extend(of_kind("began").map(|(host, record)| (host.clone(), replaced(record))));
        Self {
            id: id.clone(),
            time: of_kind("began").chain(&records).next().map(|(_, record)| record.time.clone()).unwrap_or_default(),
            who: told("who"),
            verb: if told("verb").as_deref() == Some("rollback") { Verb::Rollback } else { Verb::Deploy },
            strategy: told("strategy"),
            options: told("options"),
            release: release(),
            resumes: told("resumes").and_then(|run| run.parse().ok()),
            outcome: of_kind("ended").find_map(|(_, record)| record.field("outcome")).map(str::to_owned),
            hosts,
            records,
        }
    }

    /// Whether it went as it was to go.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outcome.as_deref() == Some("done")
    }

    /// The newest of `runs` that is the last one on some host and has no end, or was cancelled: what a later run has gone over is
    /// settled.
    #[must_use]
    pub fn unfinished(runs: &[Self]) -> Option<&Self> {
        let newer = |at: usize, host: &HostName| runs[..at].iter().any(|run| run.hosts.contains_key(host));
        let is_last = |at: usize, run: &Self| run.hosts.keys().any(|host| !newer(at, host));
        let (_, run) = runs.iter().enumerate().find(|(at, run)| run.was_cut_off() && is_last(*at, run))?;
        Some(run)
    }

    /// Whether it stopped before its work was done, and nothing was wrong with that work.
    fn was_cut_off(&self) -> bool {
        self.outcome.as_deref().is_none_or(|outcome| outcome == "cancelled")
    }
}

impl RunId {
    /// The name of a run that began at `stamp`, which is `YYYYMMDDTHHMMSSZ` in UTC.
    #[must_use]
    pub fn new(stamp: &str, random: u32) -> Option<Self> {
        format!("{stamp}-{random:08x}").parse().ok()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Verb {
    /// The word that users write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is = |part: &str, length, fits: fn(&u8) -> bool| part.len() == length && part.bytes().all(|b| fits(&b));
        let parts = text.split_once('T').and_then(|(day, rest)| Some((day, rest.split_once("Z-")?)));
        match parts {
            Some((day, (time, random)))
                if is(day, 8, u8::is_ascii_digit)
                    && is(time, 6, u8::is_ascii_digit)
                    && is(random, 8, |b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!("`{}` is no run; one looks like 20261121T021710Z-1a2b3c4d", text.escape_default())),
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(second: u8, run: &str, kind: &str, fields: &[(&str, &str)]) -> Record {
        Record {
            time: format!("2026-11-21T02:17:{second:02}Z"),
            run: run.parse().unwrap(),
            kind: kind.to_owned(),
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn journals(of: &[(&str, Vec<Record>)]) -> BTreeMap<HostName, Journal> {
        let journal = |records: &Vec<Record>| Journal { records: records.clone(), broken: 0 };
        of.iter().map(|(host, records)| (host.parse().unwrap(), journal(records))).collect()
    }

    const ONE: &str = "20261121T021710Z-1a2b3c4d";
    const TWO: &str = "20261121T021720Z-1a2b3c4d";

    #[test]
    fn one_host_that_noted_the_end_is_enough() {
        let began = |second| record(second, ONE, "began", &[("who", "alice")]);
        let ended = record(14, ONE, "ended", &[("outcome", "mixed")]);
        let runs = Run::merge(&journals(&[("web1", vec![began(10)]), ("web2", vec![began(11), ended])]));
        assert_eq!(runs[0].outcome.as_deref(), Some("mixed"));
        assert_eq!((runs[0].who.as_deref(), runs[0].hosts.len()), (Some("alice"), 2));
        assert_eq!(Run::unfinished(&runs), None);
    }

    #[test]
    fn the_newest_is_the_one_that_began_last() {
        // By its name it came first: it waited for the lock, or both began within a second.
        let waited = record(30, ONE, "began", &[]);
        let other = [record(20, TWO, "began", &[]), record(21, TWO, "ended", &[("outcome", "done")])];
        let all = [&other[..], &[waited]].concat();
        let runs = Run::merge(&journals(&[("web1", all)]));
        assert_eq!(runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [ONE, TWO]);
        assert_eq!(Run::unfinished(&runs).map(|run| run.id.as_str()), Some(ONE));
    }

    #[test]
    fn a_run_that_was_cut_off_is_settled_when_a_later_one_went_over_all_its_hosts() {
        let cut = || record(10, ONE, "began", &[]);
        let later = || vec![cut(), record(20, TWO, "began", &[]), record(21, TWO, "ended", &[("outcome", "done")])];
        let everywhere = Run::merge(&journals(&[("web1", later()), ("web2", later())]));
        assert_eq!(Run::unfinished(&everywhere), None);
        let on_one = Run::merge(&journals(&[("web1", later()), ("web2", vec![cut()])]));
        assert_eq!(Run::unfinished(&on_one).map(|run| run.id.as_str()), Some(ONE));
    }

    #[test]
    fn a_run_is_a_stamp_and_a_random_word() {
        assert!(ONE.parse::<RunId>().is_ok());
        for text in ["", "last", "20261121T021710Z", "20261121T021710Z-1A2B3C4D", "../20261121T021710Z-1a2b3c4d"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
