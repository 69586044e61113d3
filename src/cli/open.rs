//! A fleet to look at or to act on by hand: files read, sessions open.

use super::app::{App, Project};
use super::args::Environment;
use super::exit::Exit;
use crate::config::Demands;
use crate::driver::Fleet;
use crate::model::Host;
use crate::transport::OpenSsh;

/// An environment with open sessions to some of its hosts.
pub struct Open {
    /// The files.
    pub project: Project,
    /// The sessions.
    pub fleet: Fleet<OpenSsh>,
    transport: OpenSsh,
}

impl Open {
    /// Reads the files and connects to the hosts that `pick` wants.
    pub async fn connect(
        app: &App,
        environment: &Environment,
        pick: impl for<'a> FnOnce(&'a Project) -> Result<Vec<&'a Host>, Exit>,
    ) -> Result<Self, Exit> {
        let project = app.project(environment, Demands::NONE)?;
        let hosts = pick(&project)?;
        let transport = OpenSsh::start(&project.inventory.ssh)
            .map_err(|error| app.refuse(Exit::Preflight, &error.to_string(), None))?;
        let fleet = Fleet::connect(&transport, project.inventory.clone(), project.recipe.clone(), &hosts).await;
        Ok(Self { project, fleet, transport })
    }

    /// The hosts of the app.
    pub fn apps(project: &Project) -> Vec<&Host> {
        project.inventory.with_role(&project.recipe.app.role).collect()
    }

    /// Ends all sessions.
    pub async fn close(self) -> Project {
        self.fleet.close().await;
        self.transport.close().await;
        self.project
    }
}
