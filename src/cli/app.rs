//! What every verb needs: the project, and a voice.

use std::io::{self, Write};
use std::sync::Arc;

use super::args::{AnyEnvironment, Environment, Global};
use super::exit::Exit;
use super::say;
use crate::config::{self, Demands};
use crate::model::{Colour, Inventory, Observation, Paint, Recipe};
use crate::report::{self, Settings, Surroundings, Verbosity};

/// The global flags, resolved.
pub struct App {
    /// The flags.
    pub global: Global,
    /// How runs are shown.
    pub settings: Settings,
    /// What shipit runs in.
    pub around: Surroundings,
}

/// An environment's files, read and checked.
pub struct Project {
    /// The inventory.
    pub inventory: Arc<Inventory>,
    /// Its recipe.
    pub recipe: Arc<Recipe>,
}

impl App {
    /// Resolves the global flags.
    pub fn new(global: Global) -> Self {
        let verbosity = match (global.quiet, global.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        let settings = Settings { output: global.output, verbosity, colour: global.color };
        Self { global, settings, around: Surroundings::from_environment() }
    }

    /// The environment that is meant: the one that is named, or the only one there is.
    pub fn environment(&self, any: &AnyEnvironment) -> Result<Environment, Exit> {
        if let Some(environment) = any.environment.clone() {
            return Ok(Environment { environment });
        }
        match &config::environments(&self.global.directory)[..] {
            [only] => Ok(Environment { environment: only.to_string() }),
            [] => Err(self.refuse(
                Exit::Usage,
                "there is no environment: inventories/ is not there or empty",
                Some("for a project elsewhere use `-C DIR`"),
            )),
            all => {
                let names = all.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let help = "name it on the command line, or set SHIPIT_ENV";
                Err(self.refuse(Exit::Usage, &format!("there are several environments: {names}"), Some(help)))
            }
        }
    }

    /// How to paint what goes to standard error.
    pub fn paint(&self) -> Paint {
        self.settings.paint(&self.around)
    }

    /// How to paint what goes to standard output.
    pub fn paint_stdout(&self) -> Paint {
        self.settings.paint_stdout(&self.around)
    }

    /// Reads an environment's files, or says all that is wrong with them.
    pub fn project(&self, environment: &Environment, demands: Demands) -> Result<Project, Exit> {
        match config::load(&self.global.directory, &environment.environment, demands) {
            Ok((inventory, recipe)) => Ok(Project { inventory: Arc::new(inventory), recipe: Arc::new(recipe) }),
            Err(errors) => {
                let text = if self.paint().colour == Colour::On { errors.coloured() } else { errors.to_string() };
                say::line(text.trim_end());
                if self.around.github.is_some() {
                    errors.iter().filter_map(config::Diagnostic::annotation).for_each(|one| say::annotate(&one));
                }
                Err(Exit::Config)
            }
        }
    }

    /// Says something that is no error.
    pub fn note(&self, what: &str) {
        if self.settings.verbosity != Verbosity::Quiet {
            say::line(what);
        }
    }

    /// Says what was observed that stands in nobody's way, each thing once.
    pub fn notes(&self, observed: &Observation) {
        if self.settings.verbosity != Verbosity::Quiet {
            for note in report::notes(observed, self.paint()) {
                say::line(&note);
            }
        }
    }

    /// Says why nothing was done, and what to do about it.
    pub fn refuse(&self, exit: Exit, what: &str, help: Option<&str>) -> Exit {
        say::error(self.paint(), what, help);
        exit
    }
}

/// Prints data. A reader that has gone away, as `head` does, is no error.
pub fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Exit::Done
}
