//! `shipit status` and `shipit releases`: a look at the fleet, printed.

use super::app::{App, Project, print};
use super::args::Environment;
use super::exit::Exit;
use super::open::Open;
use super::prepare::needed;
use crate::model::Observation;
use crate::remote::Purpose;
use crate::report;

/// Prints host × running release × balancer state × health.
pub async fn run(app: &App, args: &Environment) -> Exit {
    match look(app, args).await {
        Ok((Project { inventory, recipe }, observed)) => {
            app.notes(&observed);
            print(&report::status(&inventory, &recipe, &observed, app.paint_stdout()))
        }
        Err(exit) => exit,
    }
}

/// Prints the releases that the hosts have.
pub async fn releases(app: &App, args: &Environment) -> Exit {
    match look(app, args).await {
        Ok((_, observed)) => print(&report::releases(&observed, app.paint_stdout())),
        Err(exit) => exit,
    }
}

async fn look(app: &App, args: &Environment) -> Result<(Project, Observation), Exit> {
    let open =
        Open::connect(app, args, |project| Ok(needed(&project.inventory, &project.recipe, &Open::apps(project))))
            .await?;
    let observed = open.fleet.observe(&Open::apps(&open.project), Purpose::Status, None).await;
    Ok((open.close().await, observed))
}
