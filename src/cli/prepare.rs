//! What `plan` and `deploy` have in common: from files to a plan, without changing anything.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::app::{App, Project};
use super::args::Choice;
use super::exit::Exit;
use super::lock::lock;
use super::say;
use crate::artifact::{self, Artifact, ArtifactError};
use crate::config::Demands;
use crate::driver::{Fleet, Watchword, preflight};
use crate::engine::End;
use crate::model::{Host, HostName, Inventory, Observation, Options, Recipe, Release, ReleaseId, Source};
use crate::plan::Plan;
use crate::remote::Purpose;
use crate::strategy::{self, PlanError, PlanInput};
use crate::transport::OpenSsh;

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
    /// The hosts that the deploy is about.
    pub picked: Vec<HostName>,
    /// What would be done.
    pub plan: Plan,
}

/// What is to be deployed, as far as that is known before the hosts are asked.
enum Wanted {
    /// A release that the hosts have.
    There(ReleaseId),
    /// One that is to be made.
    New(Artifact),
}

/// Reads, resolves, connects, looks and plans; on any trouble, and when it is `cancelled`, everything is closed again.
///
/// With a `watchword`, the fleet is locked before it is looked at: what was seen holds until the end then.
pub async fn prepare(
    app: &App,
    choice: &Choice,
    watchword: Option<&Watchword>,
    cancelled: impl Future<Output = ()>,
) -> Result<Prepared, Exit> {
    let existing = choice.release.as_ref().and_then(|release| release.parse::<ReleaseId>().ok());
    let demands = Demands { artifact: existing.is_none(), limits: !choice.overrides_limits() };
    let project = app.project(&choice.environment, demands)?;
    let project = with_reference(app, project, choice, existing.is_some())?;
    let options = options(&project.inventory, choice);
    let hosts = hosts(app, &project, &options)?;
    let transport = match OpenSsh::start(&project.inventory.ssh) {
        Ok(transport) => transport,
        Err(error) => return Err(app.refuse(Exit::Preflight, &error.to_string(), None)),
    };
    let wanted = async {
        match existing {
            Some(id) => Ok(Wanted::There(id)),
            None => artifact::prepare(&project.recipe.release.source, &app.global.directory, Timestamp::now())
                .await
                .map(Wanted::New),
        }
    };
    let work = async {
        app.note(&format!("{}: connecting to {} hosts", project.inventory.environment, hosts.all.len()));
        let connected = Fleet::connect(&transport, project.inventory.clone(), project.recipe.clone(), &hosts.all);
        let (wanted, mut fleet) = futures::join!(wanted, connected);
        let locked = match watchword {
            Some(watchword) => lock(app, &mut fleet, watchword, &hosts.picked).await,
            None => Ok(()),
        };
        let result = match locked {
            Ok(()) => plan(app, &project, &mut fleet, &hosts.picked, wanted, &options).await,
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
        Ok((observed, plan)) => Ok(Prepared { project, fleet, transport, observed, picked, plan }),
        Err(exit) => {
            fleet.close().await;
            transport.close().await;
            Err(exit)
        }
    }
}

/// A `--release` that is no release id is another reference of the recipe's repository.
fn with_reference(app: &App, mut project: Project, choice: &Choice, existing: bool) -> Result<Project, Exit> {
    let Some(wanted) = choice.release.as_ref().filter(|_| !existing) else { return Ok(project) };
    let mut recipe = (*project.recipe).clone();
    let Source::Git { reference, .. } = &mut recipe.release.source else {
        return Err(app.refuse(
            Exit::Usage,
            &format!("`--release {wanted}` is no release id, and the recipe ships no git repository"),
            Some("`shipit releases ENV` lists the releases; one looks like 20261120-224512-1a2b3c4d"),
        ));
    };
    if wanted.starts_with('-') || wanted.chars().any(|c| c.is_control() || c.is_whitespace()) || wanted.is_empty() {
        return Err(app.refuse(Exit::Usage, &format!("`--release {wanted}` is no branch, tag or commit"), None));
    }
    reference.clone_from(wanted);
    project.recipe = recipe.into();
    Ok(project)
}

fn options(inventory: &Inventory, choice: &Choice) -> Options {
    let mut limits = inventory.limits;
    limits.max_in_flight = choice.max_in_flight.unwrap_or(limits.max_in_flight);
    limits.min_serving = choice.min_serving.unwrap_or(limits.min_serving);
    limits.max_failures = choice.max_failures.unwrap_or(limits.max_failures);
    Options {
        strategy: choice.strategy.unwrap_or(inventory.strategy),
        limits,
        max_in_flight: choice.max_in_flight,
        only: choice.only.clone(),
        except: choice.except.clone(),
        canary: choice.canary,
        bake: choice.bake.unwrap_or_default(),
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
    let picked = strategy::picked(inventory, recipe, options).map_err(|error| refuse(app, &error))?;
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

async fn plan(
    app: &App,
    project: &Project,
    fleet: &mut Fleet<OpenSsh>,
    picked: &[&Host],
    wanted: Result<Wanted, ArtifactError>,
    options: &Options,
) -> Result<(Observation, Plan), Exit> {
    let wanted = wanted.map_err(|error| app.refuse(Exit::Preflight, &error.to_string(), Some(error.help())))?;
    let (inventory, recipe) = (&*project.inventory, &*project.recipe);
    let coming = match &wanted {
        Wanted::New(artifact) => Some((&artifact.release, artifact.size)),
        Wanted::There(_) => None,
    };
    let looked_at = look_at(inventory, recipe, picked);
    let mut observed = fleet.observe(&looked_at, Purpose::Deploy, coming).await;
    let names_one_out =
        |host: &&Host| observed.hosts.get(&host.name).is_some_and(|facts| facts.unrouted().next().is_some());
    if options.strategy.uses_local_nginx() || picked.iter().any(names_one_out) {
        fleet.check_routes(picked, &mut observed).await;
    }
    let survey = preflight(&observed, inventory, picked, |host| fleet.unreachable(host)?.help.clone());
    if !survey.is_clear() {
        say::survey(app.paint(), &survey);
        return Err(Exit::Preflight);
    }
    app.notes(&observed);
    let release = match wanted {
        Wanted::New(artifact) => {
            fleet.carry(artifact.archive);
            artifact.release
        }
        Wanted::There(id) => known(&observed, &id).ok_or_else(|| not_there(app, &id))?,
    };
    let input = PlanInput { inventory, recipe, release: &release, observed: &observed, options };
    let plan = strategy::plan(&input).map_err(|error| refuse(app, &error))?;
    Ok((observed, plan))
}

/// The hosts of the app to look at: those that are picked, and all of them where no balancer knows who serves.
pub fn look_at<'a>(inventory: &'a Inventory, recipe: &'a Recipe, picked: &[&'a Host]) -> Vec<&'a Host> {
    needed(inventory, recipe, picked).into_iter().filter(|host| host.roles.contains(&recipe.app.role)).collect()
}

fn known(observed: &Observation, id: &ReleaseId) -> Option<Release> {
    observed.hosts.values().flat_map(|facts| &facts.releases).find(|release| release.id == *id).cloned()
}

fn not_there(app: &App, id: &ReleaseId) -> Exit {
    let help = "`shipit releases ENV` lists the releases that the hosts have";
    app.refuse(Exit::Preflight, &format!("no host has release {id}"), Some(help))
}

fn refuse(app: &App, error: &PlanError) -> Exit {
    let exit = match error {
        PlanError::Selector(_) | PlanError::NoHosts { .. } | PlanError::Recipe { .. } => Exit::Config,
        PlanError::Floor { .. } | PlanError::NotThere { .. } | PlanError::Unsafe { .. } => Exit::Preflight,
    };
    app.refuse(exit, &error.to_string(), Some(&error.help()))
}
