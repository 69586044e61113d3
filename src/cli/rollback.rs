//! `shipit rollback`: a deploy of the release before, from what the hosts have.

use super::app::App;
use super::args::Rollback;
use super::deploy::carry_out;
use super::exit::Exit;
use super::plan::show_only;
use super::prepare::Wish;
use super::release::What;

/// Goes back.
pub async fn run(app: &App, args: &Rollback) -> Exit {
    let environment = match app.environment(&args.environment) {
        Ok(environment) => environment,
        Err(exit) => return exit,
    };
    let what = What::Back(args.to.clone());
    let wish = Wish { environment, what, how: args.how.clone(), force: false, resumes: None, preface: None };
    if args.dry_run { show_only(app, &wish, false, false).await } else { carry_out(app, &wish, args.yes).await }
}
