//! `shipit runs` and `shipit logs`: what the hosts remember.

use std::collections::BTreeMap;

use super::app::{App, print};
use super::args::{AnyEnvironment, Environment, Logs, Runs};
use super::exit::Exit;
use super::open::Open;
use super::prepare::needed;
use super::say;
use crate::model::{HostName, Journal, Run, ranges};
use crate::report;

/// All that a host keeps.
const ALL: usize = 2000;

/// Lists runs, the newest first.
pub async fn runs(app: &App, args: &Runs) -> Exit {
    match read(app, &args.environment, false).await {
        Ok((_, runs)) if args.json => json(&runs),
        Ok((_, runs)) => print(&report::runs(&runs, app.paint_stdout())),
        Err(exit) => exit,
    }
}

/// Shows one run.
pub async fn logs(app: &App, args: &Logs) -> Exit {
    let (environment, runs) = match read(app, &args.environment, true).await {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    let Some(run) = runs.iter().find(|run| run.id == args.run) else {
        let help = format!("`shipit runs {}` lists those that there are", environment.environment);
        return app.refuse(Exit::Usage, &format!("no host remembers a run {}", args.run), Some(&help));
    };
    if args.json { json(&report::LogLine::of(run)) } else { print(&report::log(run, app.paint_stdout())) }
}

/// Reads the journals of all hosts of the app, and with `balancers` those of the guards there.
async fn read(app: &App, any: &AnyEnvironment, balancers: bool) -> Result<(Environment, Vec<Run>), Exit> {
    let environment = app.environment(any)?;
    let open = Open::connect(app, &environment, |project| {
        let apps = Open::apps(project);
        Ok(if balancers { needed(&project.inventory, &project.recipe, &apps) } else { apps })
    })
    .await?;
    let mut journals = journals(app, &open, ALL).await;
    let asked = !journals.is_empty();
    if balancers {
        for (host, journal) in open.fleet.journals_of_balancers(ALL).await {
            journals.entry(host).or_default().records.extend(journal.records);
        }
    }
    open.close().await;
    if !asked {
        let help = format!("`shipit check {} --connect` says why", environment.environment);
        return Err(app.refuse(Exit::Preflight, "no host could be asked", Some(&help)));
    }
    Ok((environment, Run::merge(&journals)))
}

/// The runs of the newest `records` of each host, with a word about what could not be read; `None` if nothing could.
pub async fn past(app: &App, open: &Open, records: usize) -> Option<Vec<Run>> {
    let journals = journals(app, open, records).await;
    (!journals.is_empty()).then(|| Run::merge(&journals))
}

async fn journals(app: &App, open: &Open, records: usize) -> BTreeMap<HostName, Journal> {
    let hosts = Open::apps(&open.project);
    let journals = open.fleet.journals(&hosts, records).await;
    for host in hosts.iter().filter(|host| !journals.contains_key(&host.name)) {
        let why = open.fleet.unreachable(&host.name).map_or_else(|| "no answer".to_owned(), ToString::to_string);
        say::warning(app.paint(), &format!("{} could not be asked: {why}", host.name));
    }
    say_broken(app, journals.iter().map(|(host, journal)| (host, journal.broken)));
    journals
}

/// Says where lines of journals were passed over.
pub fn say_broken<'a>(app: &App, counts: impl Iterator<Item = (&'a HostName, usize)>) {
    let counts: Vec<(&HostName, usize)> = counts.filter(|(_, count)| *count > 0).collect();
    let count: usize = counts.iter().map(|(_, count)| count).sum();
    if count > 0 {
        let (lines, were) = if count == 1 { ("line", "was") } else { ("lines", "were") };
        let hosts = ranges(counts.into_iter().map(|(host, _)| host));
        say::warning(
            app.paint(),
            &format!("{count} {lines} of the journal of {hosts} {were} cut off or changed, and passed over"),
        );
    }
}

fn json(value: &impl serde::Serialize) -> Exit {
    print(&serde_json::to_string_pretty(value).map_or_else(|error| error.to_string(), |text| text + "\n"))
}
