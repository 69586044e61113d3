//! `shipit hosts`: what a selector picks, before you need to know.

use super::app::{App, print};
use super::args::Hosts;
use super::exit::Exit;
use crate::config::Demands;
use crate::model::Host;
use crate::report;

/// Lists the hosts.
pub fn run(app: &App, args: &Hosts) -> Exit {
    let project = match app.project(&args.environment, Demands::NONE) {
        Ok(project) => project,
        Err(exit) => return exit,
    };
    let hosts = &project.inventory.hosts;
    for selector in [&args.only, &args.except].into_iter().flatten() {
        if let Err(error) = selector.check(hosts) {
            return app.refuse(Exit::Config, &error.to_string(), Some("without `--only`, all hosts are listed"));
        }
    }
    let picked: Vec<&Host> = hosts
        .iter()
        .filter(|host| args.only.as_ref().is_none_or(|only| only.picks(host)))
        .filter(|host| !args.except.as_ref().is_some_and(|except| except.picks(host)))
        .collect();
    print(&report::hosts(picked, app.paint_stdout()))
}
