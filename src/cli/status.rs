//! `shipit status` and `shipit releases`: a look at the fleet, printed.

use super::app::{App, Project, print};
use super::args::Environment;
use super::exit::Exit;
use super::prepare::needed;
use crate::config::Demands;
use crate::driver::Fleet;
use crate::model::{Host, Observation};
use crate::remote::Purpose;
use crate::report;
use crate::transport::OpenSsh;

/// Prints host × running release × balancer state × health.
pub async fn run(app: &App, args: &Environment) -> Exit {
    match look(app, args).await {
        Ok((Project { inventory, recipe }, observed)) => {
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
    let project = app.project(args, Demands::NONE)?;
    let (inventory, recipe) = (&*project.inventory, &*project.recipe);
    let apps: Vec<&Host> = inventory.with_role(&recipe.app.role).collect();
    let transport =
        OpenSsh::start(&inventory.ssh).map_err(|error| app.refuse(Exit::Preflight, &error.to_string(), None))?;
    let hosts = needed(inventory, recipe, &apps);
    let fleet = Fleet::connect(&transport, project.inventory.clone(), project.recipe.clone(), &hosts).await;
    let observed = fleet.observe(&apps, Purpose::Status, None).await;
    fleet.close().await;
    transport.close().await;
    Ok((project, observed))
}
