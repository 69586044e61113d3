//! From the text of an inventory and a recipe to the model, or to all that is wrong with them.
//!
//! Files are decoded by hand, key by key (`table`), not by derived code: that one stops at the first error, and a
//! person who is told of one error a run is a person who runs ten times. Every reader reports what it finds to one
//! `report` and goes on. A [`Diagnostic`] names the place, the reason and the way out.

mod app;
mod artifact;
mod balancers;
mod diagnostic;
mod drain;
mod file;
mod git;
mod health;
mod hosts;
mod hotswap;
mod inventory;
mod limits;
mod linked;
mod preboot;
mod project;
mod range;
mod recipe;
mod release;
mod render;
mod report;
mod roles;
mod shell;
mod source;
mod ssh;
mod suggest;
mod table;
mod take;
mod tasks;
mod template;
mod url;
mod value;
mod vars;
mod warm;
mod watch;

use std::path::Path;

use crate::model::{EnvironmentName, Inventory, Recipe};

use file::File;
use recipe::Surroundings;
use report::{Report, Wrong};
use table::Table;
use template::Templates;

pub use diagnostic::{Annotation, Diagnostic, Diagnostics, Place};
pub use source::Source;

/// The environments that the project in `project` has inventories for, sorted.
#[must_use]
pub fn environments(project: &Path) -> Vec<EnvironmentName> {
    project::names(project, "inventories").iter().filter_map(|name| name.parse().ok()).collect()
}

/// What has to hold besides the files being right in themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demands {
    /// The directory or archive that a release is made of is there. Going back and looking need none: they may run where
    /// nothing was ever built.
    pub artifact: bool,
    /// The inventory's strategy can keep its limits. Only a deploy that takes both as they stand asks for that.
    pub limits: bool,
}

impl Demands {
    /// All of it.
    pub const ALL: Self = Self { artifact: true, limits: true };

    /// Nothing more.
    pub const NONE: Self = Self { artifact: false, limits: false };
}

/// Reads the inventory of `environment` and its recipe, and checks everything that can be checked without a host.
pub fn load(project: &Path, environment: &str, demands: Demands) -> Result<(Inventory, Recipe), Diagnostics> {
    let report = Report::default();
    let mut files = Vec::new();
    let result = read(project, environment, demands, &report, &mut files);
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    match (Diagnostics::of(report.into_errors(&files)), result) {
        (None, Ok(both)) => Ok(both),
        (Some(errors), _) => Err(errors),
        (None, Err(Wrong)) => unreachable!("whatever is wrong has been reported"),
    }
}

/// Reads both files. The path of each goes to `files`, in the order in which their errors are shown.
fn read(
    project: &Path,
    environment: &str,
    demands: Demands,
    report: &Report,
    files: &mut Vec<String>,
) -> Result<(Inventory, Recipe), Wrong> {
    let source = project::inventory(project, environment).map_err(|error| report.add(error))?;
    let environment: EnvironmentName = environment.parse().map_err(|_| Wrong)?;
    files.push(source.path().to_owned());
    let file = File::new(&source, report);
    let (root, inventory_syntax) = file.parse();
    // With broken syntax, whatever else is said about a file would be a guess; its recipe is looked at all the same.
    let silent = Report::default();
    let root = inventory_syntax.map_or_else(|_| File::new(&source, &silent).root(&root), |()| file.root(&root));
    let draft = inventory::read(&root, &environment, &project::path(project, "inventories"));
    let known = inventory_syntax.is_ok();

    let name = draft.recipe.clone()?;
    let around = Surroundings {
        templates: Templates { vars: draft.vars.as_ref().ok().filter(|_| known) },
        hosts: draft.hosts.as_deref().ok().filter(|_| known),
        project,
        artifact: demands.artifact,
    };
    let source = project::recipe(project, name.as_str())
        .map_err(|error| report.add(error.at(root.place_of("recipe").label("this recipe is not there"))))?;
    files.push(source.path().to_owned());
    let file = File::new(&source, report);
    let (recipe_root, recipe_syntax) = file.parse();
    recipe_syntax?;
    let recipe = recipe::read(&file.root(&recipe_root), around);

    let fits = if demands.limits { check_limits(&root, &draft, &recipe) } else { Ok(()) };
    let inventory = draft.finish(environment);
    let recipe = recipe.finish(name);
    inventory_syntax.and(fits)?;
    Ok((inventory?, recipe?))
}

/// Whether the inventory's limits can be kept on the hosts that the recipe's app runs on.
fn check_limits(root: &Table<'_>, inventory: &inventory::Draft, recipe: &recipe::Draft) -> Result<(), Wrong> {
    let (Ok(limits), Ok(strategy), Ok(hosts), Ok(app)) =
        (&inventory.limits, &inventory.strategy, &inventory.hosts, &recipe.app)
    else {
        return Ok(());
    };
    let total = hosts.iter().filter(|host| host.roles.contains(&app.role)).count();
    limits::check(&root.section_or_empty("limits")?, *limits, *strategy, app.role.as_str(), total)
}
