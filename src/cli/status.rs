//! `shipit status`: host × running release × balancer state × health.

use super::app::{App, print};
use super::args::Environment;
use super::exit::Exit;
use super::prepare::needed;
use crate::config::Demands;
use crate::driver::Fleet;
use crate::model::Host;
use crate::remote::Purpose;
use crate::report;
use crate::transport::OpenSsh;

/// Looks at the fleet and prints what it saw.
pub async fn run(app: &App, args: &Environment) -> Exit {
    let project = match app.project(args, Demands::NONE) {
        Ok(project) => project,
        Err(exit) => return exit,
    };
    let (inventory, recipe) = (&*project.inventory, &*project.recipe);
    let apps: Vec<&Host> = inventory.with_role(&recipe.app.role).collect();
    let transport = match OpenSsh::start(&inventory.ssh) {
        Ok(transport) => transport,
        Err(error) => return app.refuse(Exit::Preflight, &error.to_string(), None),
    };
    let hosts = needed(inventory, recipe, &apps);
    let fleet = Fleet::connect(&transport, project.inventory.clone(), project.recipe.clone(), &hosts).await;
    let observed = fleet.observe(&apps, Purpose::Status, None).await;
    fleet.close().await;
    transport.close().await;
    print(&report::status(inventory, recipe, &observed, app.paint_stdout()))
}
