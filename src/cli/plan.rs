//! `shipit plan`: what would happen.

use std::fmt::Write as _;

use super::app::{App, print};
use super::args::PlanArgs;
use super::exit::Exit;
use super::prepare::{Prepared, prepare};
use crate::plan::{Detail, show};
use crate::remote::Site;
use crate::report::Verbosity;

/// Makes the plan and shows it.
pub async fn run(app: &App, args: &PlanArgs) -> Exit {
    let prepared = match prepare(app, &args.choice, None, std::future::pending()).await {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    let text = if args.json {
        serde_json::to_string_pretty(&prepared.plan).map_or_else(|error| error.to_string(), |text| text + "\n")
    } else {
        let detail = if app.settings.verbosity == Verbosity::Verbose { Detail::Steps } else { Detail::Waves };
        let mut text = show(&prepared.plan, Some(&prepared.observed), detail, app.paint_stdout());
        if args.commands {
            text.push_str(&commands(&prepared));
        }
        text
    };
    let Prepared { fleet, transport, .. } = prepared;
    fleet.close().await;
    transport.close().await;
    print(&text)
}

/// The script of each step, once for each wave: the hosts of a wave differ in their data only.
fn commands(prepared: &Prepared) -> String {
    let site = Site { inventory: &prepared.project.inventory, recipe: &prepared.project.recipe };
    let mut text = String::new();
    for wave in &prepared.plan.waves {
        let Some(lane) = wave.lanes.first() else { continue };
        let Some(host) = prepared.project.inventory.host(&lane.host) else { continue };
        for step in &lane.steps {
            let _ = write!(text, "\n### {}: {} on {}\n", wave.name, step.action, lane.host);
            match site.script(host, &step.action) {
                Some(script) => text.push_str(&script.text()),
                None => text.push_str("# by the balancers' runtime sockets, or by a transfer; no script\n"),
            }
        }
    }
    text
}
