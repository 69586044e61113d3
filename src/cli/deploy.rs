//! `shipit deploy`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::mpsc::Receiver;

use super::app::App;
use super::args::Deploy;
use super::confirm::confirmed;
use super::diary::Diary;
use super::exit::Exit;
use super::holder::{run_id, watchword};
use super::prepare::{Prepared, Wish, prepare};
use super::say;
use crate::driver::{self, Audience, Fleet, cancels};
use crate::engine::{Aftermath, Cancel, Event, LaneEnd, Outcome, Scheduler, Stamped};
use crate::model::{Host, HostName, Reach, RunId};
use crate::plan::{Phase, Plan};
use crate::remote::Purpose;
use crate::report::{Reporter, Reporters};
use crate::transport::OpenSsh;

/// Deploys.
pub async fn run(app: &App, args: &Deploy) -> Exit {
    carry_out(app, &Wish::of(&args.choice), args.yes).await
}

/// Does what `wish` says, from the files to the exit code.
pub async fn carry_out(app: &App, wish: &Wish, yes: bool) -> Exit {
    // Before the first host is touched: a signal that finds no handler would leave its work half done.
    let status = format!("`shipit status {}` shows what runs where", wish.environment.environment);
    let paint = app.paint();
    let last_words =
        move || say::error(paint, "ended at once; the guards on the hosts put back what was under way", Some(&status));
    let mut cancels = match cancels(last_words) {
        Ok(cancels) => cancels,
        Err(error) => return app.refuse(Exit::Preflight, &format!("signals can't be handled: {error}"), None),
    };
    let cancelled = async { _ = cancels.recv().await };
    let now = Timestamp::now();
    let run = run_id(now);
    let watchword = watchword(&run, &wish.does(), now);
    let mut prepared = match prepare(app, wish, Some(&watchword), cancelled).await {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    let nothing_to_do = prepared.plan.waves.is_empty();
    let exit = if nothing_to_do && !prepared.settles {
        app.note(&format!("every host runs {} and serves; nothing to do", prepared.plan.release.id));
        Exit::Done
    } else if prepared.project.inventory.protected && !yes && !asked(&prepared.plan, &mut cancels).await {
        app.refuse(Exit::NotConfirmed, "not confirmed; nothing was changed", None)
    } else {
        let mut show = Show::new(app, run);
        prepared.fleet.record(show.run.clone());
        let diary = Diary::new(wish, &prepared);
        diary.begin(app, &prepared).await;
        let Prepared { project, fleet, transport, observed, picked, plan, .. } = prepared;
        let served = observed.view(&project.inventory, &project.recipe).serving;
        let fleet = Arc::new(fleet);
        let outcome = ship(&plan, &fleet, &picked, served, &mut show, &mut cancels).await;
        diary.end(app, &project, &fleet, &outcome).await;
        if let Ok(fleet) = Arc::try_unwrap(fleet) {
            fleet.close().await;
        }
        transport.close().await;
        return Exit::Run(outcome.end);
    };
    prepared.fleet.close().await;
    prepared.transport.close().await;
    exit
}

/// Whether somebody at the terminal agrees. Whoever interrupts the question does not.
async fn asked(plan: &Plan, cancels: &mut Receiver<Cancel>) -> bool {
    tokio::select! {
        yes = confirmed(&plan.environment) => yes,
        _ = cancels.recv() => {
            say::line("");
            false
        }
    }
}

/// Carries the plan out and judges what came of it.
async fn ship(
    plan: &Plan,
    fleet: &Arc<Fleet<OpenSsh>>,
    picked: &[HostName],
    served: BTreeSet<HostName>,
    show: &mut Show,
    cancels: &mut Receiver<Cancel>,
) -> Outcome {
    show.hear(Event::Planned { run: show.run.to_string(), plan: plan.clone() });
    let scheduler = driver::run(Arc::new(plan.clone()), fleet.clone(), show, cancels).await;
    let after = aftermath(plan, &scheduler, fleet, picked, served).await;
    let outcome = Outcome::judge(plan, &scheduler, picked, &after);
    show.hear(Event::Finished { outcome: outcome.clone() });
    outcome
}

/// One last look, because the code that CI gets must come from what is, not from what was done. The last step of a lane that
/// went well was such a look, at the host's processes, so only the others are looked at again.
async fn aftermath(
    plan: &Plan,
    scheduler: &Scheduler,
    fleet: &Fleet<OpenSsh>,
    picked: &[HostName],
    served: BTreeSet<HostName>,
) -> Aftermath {
    let confirmed = scheduler
        .ends()
        .filter(|(at, end)| plan.waves[at.wave].phase == Phase::Finish && *end == LaneEnd::Done)
        .map(|(at, _)| plan.waves[at.wave].lanes[at.lane].host.clone());
    let mut running: BTreeMap<_, _> = confirmed.map(|host| (host, Some(plan.release.id.clone()))).collect();
    let site = fleet.site();
    let left = picked.iter().filter(|name| !running.contains_key(*name));
    let left: Vec<&Host> = left.filter_map(|name| site.inventory.host(name)).collect();
    let healthy = running.keys().cloned().collect();
    let observed = fleet.observe_hosts(&left, Purpose::Status, None).await;
    fleet.bring_lost_back().await;
    let (view, unseen) = fleet.who_serves(&healthy).await;
    let reached: Vec<_> = observed.into_iter().filter(|(_, facts)| facts.reach == Reach::Reached).collect();
    let partly = reached.iter().filter(|(_, facts)| facts.runs_partly(&plan.release.id)).map(|(host, _)| host.clone());
    let partly = partly.collect();
    running.extend(reached.into_iter().map(|(host, facts)| (host, facts.running().cloned())));
    Aftermath { served, serving: view.serving, running, partly, unseen }
}

/// Stamps events and hands them to the reporters.
struct Show {
    began: Instant,
    run: RunId,
    reporters: Reporters,
}

impl Show {
    /// From here on time is counted; that of connecting, and of waiting for the lock, has passed before.
    fn new(app: &App, run: RunId) -> Self {
        Self { began: Instant::now(), run, reporters: app.settings.reporters(&app.around, Timestamp::now()) }
    }
}

impl Audience for Show {
    fn hear(&mut self, event: Event) {
        self.reporters.on(&Stamped { elapsed: self.began.elapsed().as_secs_f64(), event });
    }

    fn tick(&mut self) {
        self.reporters.tick(self.began.elapsed().as_secs_f64());
    }
}
