//! The user's side: words in, an exit code out.

mod app;
mod args;
mod check;
mod confirm;
mod deploy;
mod exit;
mod generate;
mod holder;
mod hosts;
mod lock;
mod plan;
mod prepare;
mod say;
mod status;

use std::process::ExitCode;

use app::App;
use args::{Cli, Verb};

pub use exit::Exit;

/// Reads the command line, does what it says, and returns the code to exit with.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::read();
    let app = App::new(cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return app.refuse(Exit::Preflight, &format!("no runtime could be started: {error}"), None).into();
        }
    };
    runtime.block_on(perform(&app, cli.verb)).into()
}

async fn perform(app: &App, verb: Verb) -> Exit {
    match verb {
        Verb::Deploy(args) if args.dry_run => {
            plan::run(app, &args::PlanArgs { choice: args.choice, commands: false, json: false }).await
        }
        Verb::Deploy(args) => deploy::run(app, &args).await,
        Verb::Plan(args) => plan::run(app, &args).await,
        Verb::Check(args) => check::run(app, &args).await,
        Verb::Status(args) => status::run(app, &args).await,
        Verb::Releases(args) => status::releases(app, &args).await,
        Verb::Hosts(args) => hosts::run(app, &args),
        Verb::Gen(what) => generate::run(&what),
    }
}
