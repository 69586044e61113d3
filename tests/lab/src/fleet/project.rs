//! The directory to deploy from: inventory, recipe, and the app.

use std::fs;
use std::path::Path;

use super::{Fleet, template};
use crate::app::Behaviour;
use crate::error::{Error, Result};

/// Writes a whole project: `shipit -C <project> deploy lab`.
pub fn write(fleet: &Fleet) -> Result<()> {
    let project = fleet.layout.project();
    if fleet.spec.bare {
        return write_bare(fleet, &project);
    }
    let hosts = range(fleet.spec.hosts);
    let balancers = template::fill(
        include_str!("templates/balancers.toml"),
        &[
            ("lb", &range(fleet.spec.balancers)),
            ("network", &fleet.network),
            ("sockets", &fleet.layout.sockets.display()),
        ],
    );
    let sockets = fleet.layout.sockets.display();
    let hotswap = if fleet.spec.links {
        format!("link   = \"{sockets}/{{host}}-{{port}}.link\"\nsocket = \"{sockets}/{{host}}-{{port}}.sock\"\n")
    } else {
        template::fill(include_str!("templates/hotswap.toml"), &[("root", &fleet.layout.root.display())])
    };
    let preboot = template::fill(
        include_str!("templates/preboot.toml"),
        &[("root", &fleet.layout.root.display()), ("ports", &format!("{:?}", fleet.spec.second_ports()))],
    );
    template::write(
        &project.join("inventories/lab.toml"),
        include_str!("templates/inventory.toml"),
        &[
            ("web", &hosts),
            ("network", &fleet.network),
            ("balancers", &if fleet.balancers.is_empty() { String::new() } else { balancers }),
        ],
    )?;
    template::write(
        &project.join("recipes/lab.toml"),
        include_str!("templates/recipe.toml"),
        &[
            ("root", &fleet.layout.root.display()),
            ("ports", &format!("{:?}", fleet.spec.ports())),
            ("hotswap", &hotswap),
            ("preboot", &if fleet.spec.preboot { preboot } else { String::new() }),
        ],
    )?;
    write_app(fleet, &Behaviour::default(), "1")
}

fn write_bare(fleet: &Fleet, project: &Path) -> Result<()> {
    template::write(
        &project.join("inventories/lab.toml"),
        include_str!("templates/inventory-bare.toml"),
        &[("web", &range(fleet.spec.hosts)), ("network", &fleet.network)],
    )?;
    template::write(
        &project.join("recipes/lab.toml"),
        include_str!("templates/recipe-bare.toml"),
        &[("root", &fleet.layout.root.display()), ("ports", &format!("{:?}", fleet.spec.ports()))],
    )?;
    write_app(fleet, &Behaviour::default(), "1")
}

/// Changes the app: what the next release will hold.
pub fn write_app(fleet: &Fleet, behaviour: &Behaviour, version: &str) -> Result<()> {
    let app = fleet.layout.project().join("app");
    let behaviour = toml::to_string(behaviour).map_err(|error| Error::content(&app, &error))?;
    put(&app.join("app.toml"), &behaviour)?;
    put(&app.join("version"), &format!("{version}\n"))
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::file("write", path))
}

/// The numbers in names and addresses; a fleet of one host needs no brackets.
fn range(count: u8) -> String {
    if count == 1 { "1".into() } else { format!("[1:{count}]") }
}
