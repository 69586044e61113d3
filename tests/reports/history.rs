//! What hosts remember: a deploy, a rollback with trouble on a host, and a deploy that was cut off.

use std::collections::BTreeMap;

use shipit::model::{BadRelease, HostName, Journal, Observation, Record, Release, ReleaseId, Run};

use crate::fleet;
use crate::story::{NEW, OLD, host, id};

const FIRST: &str = "20261119T101530Z-0c0ffee0";
const BACK: &str = "20261120T120000Z-1a2b3c4d";
const CUT: &str = "20261121T021710Z-2b3c4d5e";

fn record(time: &str, run: &str, kind: &str, fields: &[(&str, &str)]) -> Record {
    Record {
        time: format!("2026-11-{time}Z"),
        run: run.parse().unwrap(),
        kind: kind.to_owned(),
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

fn began<'a>(verb: &'a str, who: &'a str, release: &'a str, replaces: &'a str) -> [(&'a str, &'a str); 8] {
    [
        ("who", who),
        ("verb", verb),
        ("strategy", "rolling"),
        ("release", release),
        ("fingerprint", "1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d"),
        ("options", "--strategy=rolling '--only=web[1:8],zone=a'"),
        ("origin", "main"),
        ("replaces", replaces),
    ]
}

/// Three runs, the newest first.
pub fn runs() -> Vec<Run> {
    let job = "octocat https://github.com/acme/web/actions/runs/17";
    let journal = |number: usize| {
        let mut records = vec![
            record("19T10:15:30.000", FIRST, "began", &began("deploy", job, OLD, "")),
            record("19T10:15:50.000", FIRST, "ended", &[("outcome", "done"), ("code", "0")]),
            record("20T12:00:00.000", BACK, "began", &began("rollback", "alice@laptop", OLD, NEW)),
            record("20T12:00:02.100", BACK, "step", &[("do", "restart on x"), ("result", "ok"), ("took", "1.2")]),
        ];
        if number == 3 {
            let why = "503 from http://127.0.0.1:4040/okcomputer \u{1b}[2J";
            let step = [("do", "health"), ("release", OLD), ("result", "failed"), ("took", "60.0"), ("why", why)];
            records.push(record("20T12:00:03.400", BACK, "step", &step));
            let step = [("do", "restart on y"), ("undo", "yes"), ("result", "ok"), ("took", "1.1")];
            records.push(record("20T12:01:04.100", BACK, "step", &step));
        }
        records.push(record("20T12:01:10.000", BACK, "ended", &[("outcome", "mixed"), ("code", "21")]));
        records.push(record("21T02:17:10.000", CUT, "began", &began("deploy", "bob\u{202e}@laptop", NEW, OLD)));
        if number < 3 {
            let step = [("do", "stage"), ("release", NEW), ("result", "ok"), ("took", "0.4")];
            records.push(record("21T02:17:11.000", CUT, "step", &step));
        }
        Journal { records, broken: 0 }
    };
    Run::merge(&(1..=4).map(|number| (host(number), journal(number))).collect())
}

/// What runs on the hosts of the run that was cut off; web4 can't be reached.
pub fn running() -> BTreeMap<HostName, Option<ReleaseId>> {
    [(host(1), Some(id(NEW))), (host(2), None), (host(3), Some(id(OLD)))].into()
}

/// A fleet with a release of each state.
pub fn releases() -> Observation {
    let mut observed = fleet::calm();
    let ids = ["20261118-101500-0a1b2c3d", OLD, NEW];
    let release = |id: &&str| Release {
        id: id.parse().unwrap(),
        fingerprint: "1a2b3c4d".repeat(5).parse().unwrap(),
        origin: "main".to_owned(),
    };
    for facts in observed.hosts.values_mut() {
        facts.releases = ids.iter().map(release).collect();
        facts.confirmed = vec![id(ids[0]), id(OLD)];
    }
    let bad = BadRelease {
        id: id(ids[0]),
        fingerprint: "1a2b3c4d".repeat(5).parse().unwrap(),
        time: "2026-11-19T10:15:30Z".to_owned(),
        who: "alice@laptop\u{1b}[2J".to_owned(),
    };
    observed.hosts.get_mut(&host(2)).unwrap().bad = vec![bad];
    observed
}
