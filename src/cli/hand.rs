//! `shipit drain` and `shipit enable`: one host, by hand.

use super::app::App;
use super::args::{AnyEnvironment, Drain, Enable};
use super::exit::Exit;
use super::lock::quiet;
use super::open::Open;
use crate::balancer::BalancerError;
use crate::engine::End;
use crate::model::{Host, HostName, Rounding};
use crate::transport::Progress;

/// Takes a host out of its balancers; it stays out.
pub async fn drain(app: &App, args: &Drain) -> Exit {
    let open = match balanced(app, &args.environment, &args.host).await {
        Ok(open) => open,
        Err(exit) => return exit,
    };
    let exit = match open.project.inventory.host(&args.host) {
        Some(host) => match quiet(app, &open, args.force).await {
            Ok(()) => take_out(app, &open, host, args.force).await,
            Err(exit) => exit,
        },
        None => Exit::Config,
    };
    open.close().await;
    exit
}

/// Puts a host back into its balancers.
pub async fn enable(app: &App, args: &Enable) -> Exit {
    let open = match balanced(app, &args.environment, &args.host).await {
        Ok(open) => open,
        Err(exit) => return exit,
    };
    let exit = match open.project.inventory.host(&args.host) {
        Some(host) => match quiet(app, &open, args.force).await {
            Ok(()) => put_in(app, &open, host).await,
            Err(exit) => exit,
        },
        None => Exit::Config,
    };
    open.close().await;
    exit
}

/// Sessions to the balancers of `host`.
async fn balanced(app: &App, any: &AnyEnvironment, host: &HostName) -> Result<Open, Exit> {
    let environment = app.environment(any)?;
    Open::connect(app, &environment, |project| {
        let inventory = &project.inventory;
        let help = format!("`shipit hosts {}` lists them", environment.environment);
        let Some(host) = inventory.host(host) else {
            return Err(app.refuse(
                Exit::Usage,
                &format!("there is no host `{host}` in {}", environment.environment),
                Some(&help),
            ));
        };
        if inventory.balancers_of(host).next().is_none() {
            let what = format!("no balancer sends traffic to `{}`", host.name);
            return Err(app.refuse(Exit::Usage, &what, Some("`[[balancers]]` says which roles they serve")));
        }
        let is_balancer = |host: &&Host| inventory.balancers.iter().any(|spec| host.roles.contains(&spec.role));
        Ok(inventory.hosts.iter().filter(is_balancer).collect())
    })
    .await
}

async fn take_out(app: &App, open: &Open, host: &Host, force: bool) -> Exit {
    let fleet = Open::apps(&open.project).len();
    let floor = open.project.inventory.limits.min_serving.of(fleet, Rounding::Up);
    let view = match open.fleet.serving().await {
        Ok(view) => view,
        Err(error) => return app.refuse(Exit::Preflight, &error.to_string(), error.help().as_deref()),
    };
    let left = view.serving.iter().filter(|name| **name != host.name).count();
    if view.serving.contains(&host.name) && left < floor && !force {
        let what =
            format!("without {} only {left} of {fleet} would serve, and `min-serving` demands {floor}", host.name);
        return app.refuse(
            Exit::Preflight,
            &what,
            Some("enable another host first, or take it out all the same with `--force`"),
        );
    }
    match open.fleet.take_out(host, &progress(app, host)).await {
        Ok(note) => {
            let back = format!("shipit enable {} {}", host.name, open.project.inventory.environment);
            told(app, open, &format!("{} is out ({note}); `{back}` puts it back", host.name)).await
        }
        Err(error) => failed(app, &error),
    }
}

async fn put_in(app: &App, open: &Open, host: &Host) -> Exit {
    match open.fleet.put_in(host, &progress(app, host)).await {
        Ok(()) => told(app, open, &format!("{} serves", host.name)).await,
        Err(error) => failed(app, &error),
    }
}

/// Says what was done, and who serves by now.
async fn told(app: &App, open: &Open, what: &str) -> Exit {
    let fleet = Open::apps(&open.project).len();
    let serving = open.fleet.serving().await.map(|view| format!("; {} of {fleet} serve", view.serving.len()));
    app.note(&format!("{what}{}", serving.unwrap_or_default()));
    Exit::Done
}

fn progress(app: &App, host: &Host) -> Progress {
    let (quiet, name) = (app.settings.verbosity == crate::report::Verbosity::Quiet, host.name.clone());
    Progress::to(move |text| {
        if !quiet {
            super::say::line(&format!("{name}: {}", crate::model::clean(text)));
        }
    })
}

fn failed(app: &App, error: &BalancerError) -> Exit {
    app.refuse(Exit::Run(End::NeedsPerson), &error.to_string(), error.help().as_deref())
}
