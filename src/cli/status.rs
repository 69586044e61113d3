//! `shipit status` and `shipit releases`: a look at the fleet, printed.

use jiff::Timestamp;

use super::app::{App, Project, print};
use super::args::Environment;
use super::exit::Exit;
use super::lock::held;
use super::open::Open;
use super::prepare::needed;
use crate::model::{Observation, Run};
use crate::remote::Purpose;
use crate::report;

/// So many records of each host hold its last runs.
const RECENT: usize = 400;

/// Prints host × running release × balancer state × health.
pub async fn run(app: &App, args: &Environment) -> Exit {
    match look(app, args, true).await {
        Ok((Project { inventory, recipe }, observed)) => {
            app.notes(&observed);
            print(&report::status(&inventory, &recipe, &observed, app.paint_stdout()))
        }
        Err(exit) => exit,
    }
}

/// Prints the releases that the hosts have.
pub async fn releases(app: &App, args: &Environment) -> Exit {
    match look(app, args, false).await {
        Ok((_, observed)) => print(&report::releases(&observed, app.paint_stdout())),
        Err(exit) => exit,
    }
}

/// With `runs`, also says whether one is under way or was cut off.
async fn look(app: &App, args: &Environment, runs: bool) -> Result<(Project, Observation), Exit> {
    let open =
        Open::connect(app, args, |project| Ok(needed(&project.inventory, &project.recipe, &Open::apps(project))))
            .await?;
    let apps = Open::apps(&open.project);
    let (observed, note) = futures::join!(open.fleet.observe(&apps, Purpose::Status, None), async {
        if runs { unsettled(&open).await } else { None }
    });
    if let Some(note) = note {
        app.note(&format!("{} {note}", app.paint().bold("note:")));
    }
    Ok((open.close().await, observed))
}

/// Who holds the lock, else a run that was cut off and that nobody has settled.
async fn unsettled(open: &Open) -> Option<String> {
    let apps = Open::apps(&open.project);
    let (held, journals) = futures::join!(held(open, &apps), open.fleet.journals(&apps, RECENT));
    let runs = Run::merge(&journals);
    held.or_else(|| {
        Some(report::settle(Run::unfinished(&runs)?, &open.project.inventory.environment, Timestamp::now()))
    })
}
