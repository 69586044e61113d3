//! The directory to deploy from: inventory, recipe, and the app.

use std::fs;
use std::path::Path;

use super::Fleet;
use crate::app::Behaviour;
use crate::error::{Error, Result};

/// Writes a whole project: `shipit -C <project> deploy lab`.
pub fn write(fleet: &Fleet) -> Result<()> {
    let project = fleet.layout.project();
    put(&project.join("inventories/lab.toml"), &inventory(fleet))?;
    put(&project.join("recipes/lab.toml"), &recipe(fleet))?;
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

fn inventory(fleet: &Fleet) -> String {
    let Fleet { spec, network, layout, .. } = fleet;
    let (web, web_address) = range(spec.hosts);
    let (lb, lb_address) = range(spec.balancers);
    format!(
        "# A lab fleet; written by `cargo lab up`.\n\
         recipe   = \"lab\"\n\
         strategy = \"rolling\"\n\
         \n\
         [ssh]\n\
         config = \"../ssh_config\"\n\
         \n\
         [limits]\n\
         max-in-flight = 1\n\
         min-serving   = \"50%\"\n\
         \n\
         [[hosts]]\n\
         name    = \"web{web}\"\n\
         address = \"127.{network}.0.{web_address}\"\n\
         roles   = [\"app\"]\n\
         \n\
         [[hosts]]\n\
         name    = \"lb{lb}\"\n\
         address = \"127.{network}.1.{lb_address}\"\n\
         roles   = [\"lb\"]\n\
         \n\
         [[balancers]]\n\
         kind    = \"haproxy\"\n\
         role    = \"lb\"\n\
         socket  = \"{sockets}/{{host}}.sock\"\n\
         backend = \"app\"\n\
         server  = \"{{host}}\"\n\
         serves  = \"app\"\n",
        sockets = layout.sockets.display(),
    )
}

/// The brackets of a name and of an address; a fleet of one host needs none.
fn range(count: u8) -> (String, String) {
    if count == 1 { ("1".into(), "1".into()) } else { (format!("[1:{count}]"), format!("[1:{count}]")) }
}

fn recipe(fleet: &Fleet) -> String {
    let root = fleet.layout.root.display();
    let ports = fleet.spec.ports();
    format!(
        "# The lab's app; written by `cargo lab up`.\n\
         [release]\n\
         root   = \"{root}/hosts/{{host}}/srv\"\n\
         keep   = 5\n\
         source = {{ directory = \"app\" }}\n\
         \n\
         [app]\n\
         role      = \"app\"\n\
         instances = {ports:?}\n\
         restart   = \"{root}/bin/appctl restart {{host}} {{port}}\"\n\
         \n\
         [health]\n\
         url      = \"http://{{address}}:{{port}}/health\"\n\
         interval = \"100ms\"\n\
         timeout  = \"2s\"\n\
         deadline = \"15s\"\n\
         passes   = 2\n\
         \n\
         [warm]\n\
         urls     = [\"http://{{address}}:{{port}}/\"]\n\
         requests = 5\n\
         \n\
         [drain]\n\
         timeout  = \"15s\"\n\
         leftover = \"abort\"\n\
         \n\
         [hotswap]\n\
         upstream = \"{root}/hosts/{{host}}/app.upstream\"\n\
         server   = \"{{address}}:{{port}}\"\n\
         test     = \"{root}/bin/nginxctl {{host}} -t\"\n\
         reload   = \"{root}/bin/nginxctl {{host}} -s reload\"\n"
    )
}
