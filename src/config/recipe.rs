//! From the TOML of a recipe to the model.

use std::path::Path;

use crate::model::{
    AppSpec, DrainSpec, HealthSpec, Host, HotswapSpec, PrebootSpec, Recipe, RecipeName, ReleaseSpec, Task, WarmSpec,
    WatchSpec,
};

use super::report::Wrong;
use super::table::Table;
use super::template::Templates;
use super::{app, drain, health, hotswap, preboot, release, tasks, warm, watch};

/// What a recipe is read for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// The values of placeholders.
    pub templates: Templates<'a>,
    /// The inventory's hosts; none if they could not be read, and then roles are not judged.
    pub hosts: Option<&'a [Host]>,
    /// The folder that paths of artifacts begin at.
    pub project: &'a Path,
    /// Whether artifacts have to be there.
    pub artifact: bool,
}

/// What could be read of a recipe.
#[derive(Debug)]
pub(super) struct Draft {
    pub release: Result<ReleaseSpec, Wrong>,
    pub app: Result<AppSpec, Wrong>,
    pub health: Result<HealthSpec, Wrong>,
    pub warm: Result<WarmSpec, Wrong>,
    pub drain: Result<DrainSpec, Wrong>,
    pub watch: Result<WatchSpec, Wrong>,
    pub hotswap: Result<Option<HotswapSpec>, Wrong>,
    pub preboot: Result<Option<PrebootSpec>, Wrong>,
    pub tasks: Result<Vec<Task>, Wrong>,
}

/// Reads a recipe from `root`, the table of its file.
pub(super) fn read(root: &Table<'_>, around: Surroundings<'_>) -> Draft {
    let templates = around.templates;
    let release = root
        .required_section("release", "it says what is shipped, and to where", "`root` and `source`")
        .and_then(|table| release::read(&table, around));
    // With a second set, even what one instance has must tell two apart.
    let sets = if root.has("preboot") { 2 } else { 1 };
    let app = root
        .required_section("app", "it says what runs on the hosts", "`role`, `instances` and `restart`")
        .and_then(|table| app::read(&table, around, sets));
    let instances = app.as_ref().map_or(0, |app| app.instances.len() * sets);
    let draft = Draft {
        release,
        health: root
            .required_section(
                "health",
                "a release is only live when something says so",
                "the `url` of a page of the app",
            )
            .and_then(|table| health::read(&table, templates, instances)),
        warm: root.section_or_empty("warm").and_then(|table| warm::read(&table, templates)),
        drain: root.section_or_empty("drain").and_then(|table| drain::read(&table)),
        watch: root.section_or_empty("watch").and_then(|table| watch::read(&table)),
        hotswap: root
            .section("hotswap")
            .and_then(|table| table.map(|table| hotswap::read(&table, templates, instances)).transpose()),
        preboot: root.section("preboot").and_then(|table| {
            let read = |table| preboot::read(&table, templates, app.as_ref().ok(), root.has("hotswap"));
            table.map(read).transpose()
        }),
        tasks: tasks::read(root, around, app.as_ref().ok().map(|app| &app.role)),
        app,
    };
    root.finish();
    draft
}

impl Draft {
    /// The recipe, if all of it could be read.
    pub fn finish(self, name: RecipeName) -> Result<Recipe, Wrong> {
        Ok(Recipe {
            name,
            release: self.release?,
            app: self.app?,
            health: self.health?,
            warm: self.warm?,
            drain: self.drain?,
            watch: self.watch?,
            hotswap: self.hotswap?,
            preboot: self.preboot?,
            tasks: self.tasks?,
        })
    }
}
