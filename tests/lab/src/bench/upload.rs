//! `cargo lab bench upload`: an archive on its way to all hosts.
//!
//! The floor is `ssh HOST 'cat > FILE'` on connections that are there already. What shipit does besides is in its time: it
//! checks on the host what arrived. So is, with several hosts on one machine, the unpacking on hosts that were sent
//! theirs first: `--hosts 1` is without that.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::contest::run;
use super::{FEWEST_RUNS, least, median, print_json};
use crate::error::{Error, Result};
use crate::fleet::{Fleet, Spec};
use crate::shipit::{Output, Shipit};
use crate::workspace::Profile;
use crate::{interrupt, packages};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many hosts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub hosts: u8,
    /// How large the archive is, in MB.
    #[arg(long, default_value_t = 50)]
    pub size: u64,
    /// How many runs of each.
    #[arg(long, default_value_t = FEWEST_RUNS, value_parser = clap::value_parser!(u8).range(i64::from(FEWEST_RUNS)..))]
    pub runs: u8,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Measurement {
    hosts: u8,
    megabytes: u64,
    /// Seconds of each run.
    floor: Vec<f64>,
    /// The floor with `sha256sum` on the host.
    checked: Vec<f64>,
    shipit: Vec<f64>,
    ratio: f64,
}

/// What is read of an event.
#[derive(Deserialize)]
struct Event {
    elapsed: f64,
    verb: Option<String>,
    fact: Option<String>,
    command: Option<String>,
}

/// Measures uploads.
pub fn upload(options: &Options) -> Result<()> {
    packages::install(packages::FLEETS)?;
    interrupt::take_fleets_along();
    let shipit = Shipit::build(Profile::Release)?;
    let fleet = Fleet::renew(Spec::bare("bench-upload", options.hosts))?;
    let archive = fleet.layout.project().join("app.tar");
    let recipe = fleet.layout.project().join("recipes/lab.toml");
    let text = fs::read_to_string(&recipe).map_err(Error::file("read", &recipe))?;
    let text = text.replace("{ directory = \"app\" }", "{ archive = \"app.tar\" }");
    fs::write(&recipe, text).map_err(Error::file("write", &recipe))?;

    let (mut floor, mut checked, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=options.runs {
        pack(&fleet, options.size)?;
        floor.push(send(&fleet, &archive, "")?);
        checked.push(send(&fleet, &archive, "&& sha256sum $HOSTS/$host/tmp/archive")?);
        let done = shipit.run(&fleet, &["deploy", "lab", "--output", "jsonl", "--yes"], Output::Kept)?.success()?;
        own.push(lasted(&done.stdout)?);
        let last = |seconds: &[f64]| seconds.last().copied().unwrap_or_default();
        eprintln!(
            "run {run}: floor {:.2} s, with a checksum {:.2} s, shipit {:.2} s",
            last(&floor),
            last(&checked),
            last(&own)
        );
    }
    fleet.down()?;
    let ratio = median(&own) / median(&floor);
    let measurement = Measurement { hosts: options.hosts, megabytes: options.size, floor, checked, shipit: own, ratio };
    if options.json {
        return print_json(&measurement);
    }
    println!("{} MB to {} hosts on open connections", measurement.megabytes, measurement.hosts);
    for (name, seconds) in
        [("floor", &measurement.floor), ("checked", &measurement.checked), ("shipit", &measurement.shipit)]
    {
        println!("  {name:<8} median {:>6.2} s   min {:>6.2} s", median(seconds), least(seconds));
    }
    println!("  ratio of the medians {ratio:.3}");
    Ok(())
}

/// Makes an archive that no earlier one is like and that no compression makes smaller.
fn pack(fleet: &Fleet, megabytes: u64) -> Result<()> {
    let content = fleet.layout.project().join("app/content");
    let random = File::open("/dev/urandom").map_err(Error::program("/dev/urandom"))?;
    let mut file = File::create(&content).map_err(Error::file("write", &content))?;
    io::copy(&mut random.take(megabytes << 20), &mut file).map_err(Error::file("write", &content))?;
    let mut tar = Command::new("tar");
    run(tar.arg("-C").arg(fleet.layout.project()).args(["-cf"]).arg(fleet.layout.project().join("app.tar")).arg("app"))
        .map(drop)
}

/// The floor, in seconds: connections are opened before and closed after.
fn send(fleet: &Fleet, archive: &std::path::Path, check: &str) -> Result<f64> {
    let control = fleet.layout.sockets.join("control");
    fs::create_dir_all(&control).map_err(Error::file("create", &control))?;
    let names: Vec<&str> = fleet.web.iter().map(|host| host.name.as_str()).collect();
    let everywhere = |options: &str, rest: &str| {
        let script = format!(
            "jobs=; for host in {}; do ssh -F \"$CONFIG\" -S \"$CONTROL/$host\" {options} \"$host\" {rest} & jobs=\"$jobs $!\"; done
             for job in $jobs; do wait $job || exit 1; done",
            names.join(" ")
        );
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).env("CONFIG", fleet.layout.ssh_config()).env("CONTROL", &control);
        run(shell.env("ARCHIVE", archive).env("HOSTS", fleet.layout.hosts()))
    };
    everywhere("-M -fN", ">/dev/null 2>&1")?;
    let sent = everywhere("", &format!("\"cat > $HOSTS/$host/tmp/archive {check}\" <\"$ARCHIVE\""));
    everywhere("-O exit", "2>/dev/null")?;
    sent.map(|lasted| lasted.as_secs_f64())
}

/// From the first upload's beginning to the last one's end, in seconds, by shipit's events.
fn lasted(events: &str) -> Result<f64> {
    let mut first = f64::INFINITY;
    let mut last = f64::NEG_INFINITY;
    let mut verbs = BTreeSet::new();
    for line in events.lines() {
        let event: Event = serde_json::from_str(line).map_err(|error| Error::Failed(format!("{error}: {line}")))?;
        verbs.extend(event.verb.clone());
        match (event.verb.as_deref(), event.command.as_deref(), event.fact.as_deref()) {
            (Some("upload"), Some("perform"), _) => first = first.min(event.elapsed),
            (Some("upload"), _, Some("step-finished")) => last = last.max(event.elapsed),
            _ => {}
        }
    }
    if first < last {
        return Ok(last - first);
    }
    let verbs: Vec<_> = verbs.into_iter().collect();
    Err(Error::Failed(format!("no upload was seen among {}", verbs.join(", "))))
}
