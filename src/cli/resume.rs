//! `shipit resume`: finishes what was cut off, from any machine, by what the hosts remember.

use std::collections::BTreeMap;

use super::app::{App, print};
use super::args::{Environment, How, Resume};
use super::deploy::carry_out;
use super::exit::Exit;
use super::history::past;
use super::open::Open;
use super::plan::show_only;
use super::prepare::Wish;
use super::release::What;
use super::say;
use crate::model::{Host, HostName, Reach, ReleaseId, Run};
use crate::remote::Purpose;
use crate::report;

/// So many records of each host hold its last runs.
const RECENT: usize = 400;

/// Goes on.
pub async fn run(app: &App, args: &Resume) -> Exit {
    let environment = match app.environment(&args.environment) {
        Ok(environment) => environment,
        Err(exit) => return exit,
    };
    let (run, words) = match cut_off(app, &environment).await {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let wish = match wish(app, environment, args, &run, words) {
        Ok(wish) => wish,
        Err(exit) => return exit,
    };
    let exit =
        if args.dry_run { show_only(app, &wish, false, false).await } else { carry_out(app, &wish, args.yes).await };
    if exit == Exit::Preflight {
        say::line(&format!("or go back: `shipit rollback {}`", wish.environment.environment));
    }
    exit
}

/// The run that was cut off, and words about it and its hosts. Without one, that is said and all is well.
async fn cut_off(app: &App, environment: &Environment) -> Result<(Run, String), Exit> {
    let open = Open::connect(app, environment, |project| Ok(Open::apps(project))).await?;
    let runs = past(app, &open, RECENT).await;
    let found = runs.as_ref().and_then(|runs| Run::unfinished(runs)).cloned();
    let running = match &found {
        Some(run) => running(&open, run).await,
        None => BTreeMap::new(),
    };
    open.close().await;
    let Some(runs) = runs else {
        return Err(app.refuse(Exit::Preflight, "no host could be asked; nothing was changed", None));
    };
    if let Some(run) = found {
        let words = report::unfinished(&run, &running, app.paint());
        return Ok((run, words.trim_end().to_owned()));
    }
    let last = runs.first().map(|run| {
        let outcome = run.outcome.as_deref().unwrap_or("unfinished");
        format!("; the last run was {}: {} ({outcome})", run.id, run.verb)
    });
    Err(print(&format!("{}: nothing is unfinished{}\n", environment.environment, last.unwrap_or_default())))
}

/// What the hosts of `run` run now; those that can't be asked are left out.
async fn running(open: &Open, run: &Run) -> BTreeMap<HostName, Option<ReleaseId>> {
    let hosts: Vec<&Host> = run.hosts.keys().filter_map(|name| open.project.inventory.host(name)).collect();
    let facts = open.fleet.observe_hosts(&hosts, Purpose::Status, None).await;
    let reached = facts.into_iter().filter(|(_, facts)| facts.reach == Reach::Reached);
    reached.map(|(host, facts)| (host, facts.running().cloned())).collect()
}

/// The same once more: same release, same strategy, same options.
fn wish(app: &App, environment: Environment, args: &Resume, run: &Run, words: String) -> Result<Wish, Exit> {
    let help = format!("`shipit rollback {}` goes back", environment.environment);
    let refuse = |what: &str| {
        say::line(&words);
        app.refuse(Exit::Preflight, what, Some(&help))
    };
    let release = run
        .release
        .clone()
        .ok_or_else(|| refuse("the hosts do not say which release it was about; nothing was changed"))?;
    let mut how = How::from_flags(run.options.as_deref().unwrap_or_default())
        .map_err(|why| refuse(&format!("the options that it was given can't be read: {why}; nothing was changed")))?;
    how.skip_unreachable = args.skip_unreachable;
    // The inventory's may be another one by now.
    how.strategy = how.strategy.or_else(|| run.strategy.as_ref()?.parse().ok());
    Ok(Wish {
        environment,
        what: What::Again(release, run.verb),
        how,
        force: false,
        resumes: Some(run.id.clone()),
        preface: Some(words),
    })
}
