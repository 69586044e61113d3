//! What `plan`, `deploy`, `rollback` and `resume` have in common: from files to a plan, without changing anything.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::app::{App, Project};
use super::args::{Choice, Environment, How};
use super::exit::Exit;
use super::history::say_broken;
use super::lock::lock;
use super::release::{Meant, What, released, with_reference};
use super::say;
use crate::artifact::{self, Artifact, ArtifactError};
use crate::config::Demands;
use crate::driver::{Fleet, Watchword, check_memory, preflight};
use crate::engine::End;
use crate::model::{
    BadRelease, Host, HostFacts, HostName, Inventory, Observation, Options, Reach, Recipe, Rounding, Run, RunId,
    StrategyName, Verb,
};
use crate::plan::Plan;
use crate::remote::Purpose;
use crate::strategy::{self, PlanError, PlanInput};
use crate::transport::{OpenSsh, Transport};

/// The newest records of a host that a rollback asks for: those of some runs.
const RECENT: usize = 200;

/// What somebody wants.
pub struct Wish {
    /// Where.
    pub environment: Environment,
    /// Which release.
    pub what: What,
    /// How.
    pub how: How,
    /// A release that was rolled back from, too.
    pub force: bool,
    /// The run that is gone on with.
    pub resumes: Option<RunId>,
    /// What is said once the fleet is locked, and not before: whoever holds the lock may be about to make it untrue.
    pub preface: Option<String>,
}

/// A plan, and the fleet that it is for.
pub struct Prepared {
    /// The files.
    pub project: Project,
    /// The open sessions.
    pub fleet: Fleet<OpenSsh>,
    /// Who opened them.
    pub transport: OpenSsh,
    /// What was seen.
    pub observed: Observation,
    /// The hosts that the run is about, those that are skipped included.
    pub picked: Vec<HostName>,
    /// What would be done.
    pub plan: Plan,
    /// What a rollback goes away from, where it runs.
    pub left: Vec<BadRelease>,
    /// A run was cut off, and this one settles it even if there is nothing to do.
    pub settles: bool,
}

/// What was found out once the fleet was open.
struct Found {
    observed: Observation,
    plan: Plan,
    left: Vec<BadRelease>,
    settles: bool,
}

impl Wish {
    /// What it is, in words for whoever waits for its end.
    pub fn does(&self) -> String {
        format!("{} {}", self.what.verb(), self.environment.environment)
    }

    /// What the command line of `deploy` and `plan` asks for.
    pub fn of(choice: &Choice) -> Self {
        Self {
            environment: choice.environment.clone(),
            what: What::of(choice.release.as_deref()),
            how: choice.how.clone(),
            force: choice.force,
            resumes: None,
            preface: None,
        }
    }
}

/// Reads, resolves, connects, looks and plans; on any trouble, and when it is `cancelled`, everything is closed again.
///
/// With a `watchword`, the fleet is locked before it is looked at: what was seen holds until the end then.
pub async fn prepare(
    app: &App,
    wish: &Wish,
    watchword: Option<&Watchword>,
    cancelled: impl Future<Output = ()>,
) -> Result<Prepared, Exit> {
    let from_source = matches!(wish.what, What::Source(_));
    let project =
        app.project(&wish.environment, Demands { artifact: from_source, limits: !wish.how.overrides_limits() })?;
    let project = with_reference(app, project, &wish.what)?;
    let options = options(&project.inventory, wish);
    let hosts = hosts(app, &project, &options)?;
    let transport = match OpenSsh::start(&project.inventory.ssh) {
        Ok(transport) => transport,
        Err(error) => return Err(app.refuse(Exit::Preflight, &error.to_string(), None)),
    };
    let made = async {
        if from_source {
            let source = &project.recipe.release.source;
            artifact::prepare(source, &app.global.directory, transport.scratch(), Timestamp::now()).await.map(Some)
        } else {
            Ok(None)
        }
    };
    let work = async {
        app.note(&format!("{}: connecting to {} hosts", project.inventory.environment, hosts.all.len()));
        let connected = Fleet::connect(&transport, project.inventory.clone(), project.recipe.clone(), &hosts.all);
        let (made, mut fleet) = futures::join!(made, connected);
        let locked = match watchword {
            Some(watchword) => lock(app, &mut fleet, watchword, &hosts.picked).await,
            None => Ok(()),
        };
        let result = match locked {
            Ok(()) => find_out(app, wish, &project, &mut fleet, &hosts.picked, made, options).await,
            Err(exit) => Err(exit),
        };
        (fleet, result)
    };
    let done = tokio::select! {
        done = work => Some(done),
        () = cancelled => None,
    };
    let Some((fleet, result)) = done else {
        transport.close().await;
        return Err(app.refuse(Exit::Run(End::Cancelled), "cancelled; nothing was changed", None));
    };
    let picked = hosts.picked.iter().map(|host| host.name.clone()).collect();
    match result {
        Ok(Found { observed, plan, left, settles }) => {
            Ok(Prepared { project, fleet, transport, observed, picked, plan, left, settles })
        }
        Err(exit) => {
            fleet.close().await;
            transport.close().await;
            Err(exit)
        }
    }
}

fn options(inventory: &Inventory, wish: &Wish) -> Options {
    let how = &wish.how;
    let mut limits = inventory.limits;
    limits.max_in_flight = how.max_in_flight.unwrap_or(limits.max_in_flight);
    limits.min_serving = how.min_serving.unwrap_or(limits.min_serving);
    limits.max_failures = how.max_failures.unwrap_or(limits.max_failures);
    Options {
        verb: wish.what.verb(),
        strategy: how.strategy.unwrap_or(inventory.strategy),
        limits,
        max_in_flight: how.max_in_flight,
        only: how.only.clone(),
        except: how.except.clone(),
        skipped: Vec::new(),
        canary: how.canary,
        bake: how.bake.unwrap_or_default(),
    }
}

/// The hosts that matter to a deploy.
struct Hosts<'a> {
    /// Those that it is about.
    picked: Vec<&'a Host>,
    /// Those to connect to: these, the balancers', and those of tasks.
    all: Vec<&'a Host>,
}

fn hosts<'a>(app: &App, project: &'a Project, options: &Options) -> Result<Hosts<'a>, Exit> {
    let (inventory, recipe) = (&*project.inventory, &*project.recipe);
    let picked = strategy::picked(inventory, recipe, options).map_err(|error| refuse(app, inventory, &error))?;
    Ok(Hosts { all: needed(inventory, recipe, &picked), picked })
}

/// `picked`, the hosts of the balancers and of tasks; and all of the app's where no balancer knows who serves.
pub fn needed<'a>(inventory: &'a Inventory, recipe: &'a Recipe, picked: &[&'a Host]) -> Vec<&'a Host> {
    let names: BTreeSet<&HostName> = picked.iter().map(|host| &host.name).collect();
    let is_needed = |host: &&Host| {
        let has = |role| host.roles.contains(role);
        let is_app = has(&recipe.app.role);
        names.contains(&host.name)
            || inventory.balancers.iter().any(|balancer| has(&balancer.role))
            || recipe.tasks.iter().any(|task| has(&task.role) && !is_app)
            || (is_app && inventory.balancers_of(host).next().is_none())
    };
    inventory.hosts.iter().filter(is_needed).collect()
}

/// From open sessions to a plan.
async fn find_out(
    app: &App,
    wish: &Wish,
    project: &Project,
    fleet: &mut Fleet<OpenSsh>,
    picked: &[&Host],
    made: Result<Option<Artifact>, ArtifactError>,
    mut options: Options,
) -> Result<Found, Exit> {
    let made = made.map_err(|error| app.refuse(Exit::Preflight, &error.to_string(), Some(error.help())))?;
    let (inventory, recipe) = (&*project.inventory, &*project.recipe);
    let routed = if options.strategy.uses_local_nginx() { picked } else { &[] };
    let (mut observed, past) =
        look(fleet, wish, made.as_ref(), &look_at(inventory, recipe, picked), picked, routed).await;
    if let Some(run) = wish.resumes.as_ref().filter(|run| Run::unfinished(&past.runs).is_none_or(|one| one.id != **run))
    {
        app.note(&format!("{run} has come to its end meanwhile: `shipit runs {}` shows it", inventory.environment));
        return Err(Exit::Done);
    }
    wish.preface.iter().for_each(|words| say::line(words));
    options.skipped = skipped(app, wish, inventory, recipe, &observed, picked, &options)?;
    let picked: Vec<&Host> = picked.iter().copied().filter(|host| !options.skipped.contains(&host.name)).collect();
    let names_one_out = |host: &&Host| observed.hosts.get(&host.name).is_some_and(HostFacts::is_misrouted);
    if routed.is_empty() && picked.iter().any(names_one_out) {
        fleet.check_routes(&picked, &mut observed).await;
    }
    clear(app, fleet, inventory, &observed, &picked, &options)?;
    say_broken(app, past.broken.iter().map(|(host, count)| (host, *count)));
    let Meant { release, left } = released(app, wish, recipe, &observed, &picked, past.runs.first(), made.as_ref())?;
    if options.strategy == StrategyName::Preboot {
        check_memory(&mut observed, &picked, Some(&release.id));
        clear(app, fleet, inventory, &observed, &picked, &options)?;
    }
    app.notes(&observed);
    fleet.carry(made.and_then(|artifact| artifact.archive));
    let input = PlanInput { inventory, recipe, release: &release, observed: &observed, options: &options };
    let plan = strategy::plan(&input).map_err(|error| refuse(app, inventory, &error))?;
    let settles = wish.resumes.is_some() || past.runs.first().is_some_and(|run| run.outcome.is_none());
    Ok(Found { observed, plan, left, settles })
}

/// Refuses where something stands in the way.
fn clear(
    app: &App,
    fleet: &Fleet<OpenSsh>,
    inventory: &Inventory,
    observed: &Observation,
    picked: &[&Host],
    options: &Options,
) -> Result<(), Exit> {
    let mut asked = observed.clone();
    asked.hosts.retain(|host, _| !options.skipped.contains(host));
    let survey = preflight(&asked, inventory, picked, |host| fleet.unreachable(host)?.help.clone());
    if survey.is_clear() {
        return Ok(());
    }
    say::survey(app.paint(), &survey);
    Err(Exit::Preflight)
}

/// What the journals tell of the runs before.
#[derive(Default)]
struct Past {
    runs: Vec<Run>,
    broken: Vec<(HostName, usize)>,
}

/// Looks at the fleet; who goes back or on, at its history, too.
async fn look(
    fleet: &Fleet<OpenSsh>,
    wish: &Wish,
    made: Option<&Artifact>,
    hosts: &[&Host],
    picked: &[&Host],
    routed: &[&Host],
) -> (Observation, Past) {
    let coming = match (&wish.what, made) {
        (_, Some(artifact)) => Some((&artifact.release, artifact.size)),
        (What::Again(release, _), _) => Some((release, crate::model::Size::default())),
        _ => None,
    };
    let is_rollback = wish.what.verb() == Verb::Rollback;
    let purpose = if is_rollback { Purpose::Return } else { Purpose::Deploy };
    let seen = fleet.observe_routed(hosts, purpose, coming, routed);
    if !is_rollback && wish.resumes.is_none() {
        return (seen.await, Past::default());
    }
    let (observed, journals) = futures::join!(seen, fleet.journals(picked, RECENT));
    let broken = journals.iter().map(|(host, journal)| (host.clone(), journal.broken)).collect();
    (observed, Past { runs: Run::merge(&journals), broken })
}

/// The hosts out of reach that the user is willing to leave out, which the failure budget must allow for.
fn skipped(
    app: &App,
    wish: &Wish,
    inventory: &Inventory,
    recipe: &Recipe,
    observed: &Observation,
    picked: &[&Host],
    options: &Options,
) -> Result<Vec<HostName>, Exit> {
    let silent = |host: &&&Host| {
        observed.hosts.get(&host.name).is_some_and(|facts| matches!(facts.reach, Reach::Unreachable(_)))
    };
    let silent: Vec<HostName> = picked.iter().filter(silent).map(|host| host.name.clone()).collect();
    if !wish.how.skip_unreachable || silent.is_empty() || silent.len() == picked.len() {
        return Ok(Vec::new());
    }
    let names = crate::model::ranges(silent.iter());
    let allowed = options.limits.max_failures.of(inventory.with_role(&recipe.app.role).count(), Rounding::Down);
    if silent.len() > allowed {
        let help = format!("if they are to be left out, `--max-failures {}`", silent.len());
        let what = format!("{names} can't be reached, and `max-failures` allows for {allowed}; nothing was changed");
        return Err(app.refuse(Exit::Preflight, &what, Some(&help)));
    }
    say::warning(app.paint(), &format!("left out, because not reachable: {names}; the next deploy brings them up"));
    Ok(silent)
}

/// The hosts of the app to look at: those that are picked, and all of them where no balancer knows who serves.
pub fn look_at<'a>(inventory: &'a Inventory, recipe: &'a Recipe, picked: &[&'a Host]) -> Vec<&'a Host> {
    needed(inventory, recipe, picked).into_iter().filter(|host| host.roles.contains(&recipe.app.role)).collect()
}

fn refuse(app: &App, inventory: &Inventory, error: &PlanError) -> Exit {
    let exit = match error {
        PlanError::Selector(_) | PlanError::NoHosts { .. } | PlanError::Recipe { .. } => Exit::Config,
        PlanError::Floor { .. } | PlanError::NotThere { .. } | PlanError::Unsafe { .. } => Exit::Preflight,
    };
    app.refuse(exit, &error.to_string(), Some(&error.help(&inventory.environment)))
}
