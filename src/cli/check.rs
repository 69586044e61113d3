//! `shipit check`: are the files right, and with `--connect`, are the hosts ready?

use super::app::{App, print};
use super::args::Check;
use super::exit::Exit;
use super::prepare::needed;
use super::say;
use crate::config::Demands;
use crate::driver::{Fleet, preflight};
use crate::model::Host;
use crate::remote::Purpose;
use crate::report;
use crate::transport::OpenSsh;

/// Checks.
pub async fn run(app: &App, args: &Check) -> Exit {
    let project = match app.project(&args.environment, Demands { artifact: false, ..Demands::ALL }) {
        Ok(project) => project,
        Err(exit) => return exit,
    };
    let (inventory, recipe) = (&*project.inventory, &*project.recipe);
    if !args.connect {
        let hosts = match inventory.hosts.len() {
            1 => "1 host".to_owned(),
            count => format!("{count} hosts"),
        };
        return print(&format!("{}: the files are right: {hosts}, recipe {}\n", inventory.environment, recipe.name));
    }
    let apps: Vec<&Host> = inventory.with_role(&recipe.app.role).collect();
    let transport = match OpenSsh::start(&inventory.ssh) {
        Ok(transport) => transport,
        Err(error) => return app.refuse(Exit::Preflight, &error.to_string(), None),
    };
    let hosts = needed(inventory, recipe, &apps);
    let fleet = Fleet::connect(&transport, project.inventory.clone(), project.recipe.clone(), &hosts).await;
    let mut observed = fleet.observe_routed(&apps, Purpose::Deploy, None, &apps).await;
    fleet.check_posts(&mut observed).await;
    let survey = preflight(&observed, inventory, &apps, |host| fleet.unreachable(host)?.help.clone());
    fleet.close().await;
    transport.close().await;
    print(&report::fleet(inventory, recipe, &observed, app.paint_stdout()));
    app.notes(&observed);
    if survey.is_clear() {
        return print("\nready: nothing on the hosts stands in the way of a deploy\n");
    }
    say::survey(app.paint(), &survey);
    Exit::Preflight
}
