//! `shipit exec`: a command on many hosts.

use super::app::{App, print};
use super::args::Exec;
use super::exit::Exit;
use super::hosts::picked;
use super::lock::warn_if_held;
use super::open::Open;
use super::say;
use crate::model::{HostName, Tone, clean};
use crate::transport::{ExecError, Output, word};

/// Runs the command.
pub async fn run(app: &App, args: &Exec) -> Exit {
    let environment = match app.environment(&args.environment) {
        Ok(environment) => environment,
        Err(exit) => return exit,
    };
    let open = match Open::connect(app, &environment, |project| {
        picked(app, project, args.only.as_ref(), args.except.as_ref())
    })
    .await
    {
        Ok(open) => open,
        Err(exit) => return exit,
    };
    let command = match &args.command[..] {
        [line] => line.clone(),
        words => words.iter().map(|one| word(one)).collect::<Vec<_>>().join(" "),
    };
    let exit = match picked(app, &open.project, args.only.as_ref(), args.except.as_ref()) {
        Ok(hosts) => {
            warn_if_held(app, &open, &hosts).await;
            let done = open.fleet.execute(&hosts, &command, args.timeout).await;
            let unreachable = |host: &HostName| open.fleet.unreachable(host).map(ToString::to_string);
            let all_well = done
                .into_iter()
                .fold(true, |well, (host, answer)| told(app, &host, answer, unreachable(&host)) && well);
            if all_well { Exit::Done } else { Exit::Command }
        }
        Err(exit) => exit,
    };
    open.close().await;
    exit
}

/// Prints what a host answered, each line after its name; whether all is well there.
fn told(app: &App, host: &HostName, answer: Option<Result<Output, ExecError>>, unreachable: Option<String>) -> bool {
    let output = match answer {
        Some(Ok(output)) => output,
        Some(Err(error)) => return complain(app, host, &error.to_string()),
        None => return complain(app, host, &unreachable.unwrap_or_else(|| "not reachable".to_owned())),
    };
    let name = app.paint_stdout().tone(Tone::Bold, host);
    let lines: Vec<String> = output.stdout.lines().map(|line| format!("{name} | {}\n", clean(line))).collect();
    print(&lines.concat());
    output.stderr.lines().for_each(|line| say::line(&format!("{host} | {}", clean(line))));
    output.code == 0 || complain(app, host, &format!("ended with code {}", output.code))
}

fn complain(app: &App, host: &HostName, what: &str) -> bool {
    say::error(app.paint(), &format!("{host}: {what}"), None);
    false
}
