//! The worked examples load: every inventory and every recipe of the repository, as a user would get them.

use std::collections::BTreeSet;
use std::path::Path;

use shipit::config::{self, Demands};

#[test]
fn every_inventory_and_every_recipe_loads_and_every_recipe_is_used() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let environments = config::environments(project);
    assert!(!environments.is_empty(), "there are no inventories");
    let mut used = BTreeSet::new();
    let mut faults = Vec::new();
    for environment in &environments {
        // What a release is made of is the reader's, and not here.
        match config::load(project, environment.as_str(), Demands { artifact: false, ..Demands::ALL }) {
            Ok((_, recipe)) => drop(used.insert(recipe.name.to_string())),
            Err(errors) => faults.push(errors.to_string()),
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n\n"));
    assert_eq!(used, recipes(project), "every recipe needs an inventory, or nobody has checked it");
}

/// The names of the files in `recipes/`.
fn recipes(project: &Path) -> BTreeSet<String> {
    let entries = project.join("recipes").read_dir().unwrap();
    entries
        .map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".toml").unwrap_or_else(|| panic!("recipes/{name} is no TOML file")).to_owned()
        })
        .collect()
}
