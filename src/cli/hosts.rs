//! `shipit hosts`: what a selector picks, before you need to know.

use super::app::{App, Project, print};
use super::args::Hosts;
use super::exit::Exit;
use crate::config::Demands;
use crate::model::{Host, Selector};
use crate::report;

/// Lists the hosts.
pub fn run(app: &App, args: &Hosts) -> Exit {
    let project = match app.project(&args.environment, Demands::NONE) {
        Ok(project) => project,
        Err(exit) => return exit,
    };
    match picked(app, &project, args.only.as_ref(), args.except.as_ref()) {
        Ok(picked) => print(&report::hosts(picked, app.paint_stdout())),
        Err(exit) => exit,
    }
}

/// The hosts of the inventory that the selectors pick; all without any.
pub fn picked<'a>(
    app: &App,
    project: &'a Project,
    only: Option<&Selector>,
    except: Option<&Selector>,
) -> Result<Vec<&'a Host>, Exit> {
    let hosts = &project.inventory.hosts;
    for selector in [only, except].into_iter().flatten() {
        if let Err(error) = selector.check(hosts) {
            let help = format!("`shipit hosts {}` lists all hosts", project.inventory.environment);
            return Err(app.refuse(Exit::Config, &error.to_string(), Some(&help)));
        }
    }
    let wanted =
        |host: &&Host| only.is_none_or(|only| only.picks(host)) && !except.is_some_and(|except| except.picks(host));
    Ok(hosts.iter().filter(wanted).collect())
}
