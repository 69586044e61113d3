//! From the TOML of an inventory to the model.

use std::collections::BTreeMap;

use crate::model::{BalancerSpec, EnvironmentName, Host, Inventory, LimitSpec, RecipeName, SshSpec, StrategyName};

use super::report::Wrong;
use super::table::Table;
use super::template::Templates;
use super::value::Value;
use super::{balancers, hosts, limits, ssh, take, vars};

/// What could be read of an inventory, so that what depends on a part can be checked although another is wrong.
#[derive(Debug)]
pub(super) struct Draft {
    pub recipe: Result<RecipeName, Wrong>,
    pub strategy: Result<StrategyName, Wrong>,
    pub protected: Result<bool, Wrong>,
    pub ssh: Result<SshSpec, Wrong>,
    pub limits: Result<LimitSpec, Wrong>,
    pub hosts: Result<Vec<Host>, Wrong>,
    pub balancers: Result<Vec<BalancerSpec>, Wrong>,
    pub vars: Result<BTreeMap<String, String>, Wrong>,
}

/// Reads the inventory of `environment` from `root`, the table of its file, which lies in `folder`.
pub(super) fn read(root: &Table<'_>, environment: &EnvironmentName, folder: &std::path::Path) -> Draft {
    // The order is that of the list of keys in errors; balancers come last, as they need hosts and vars.
    let recipe = root.required("recipe", "\"web\"", take::name);
    let strategy = root.or("strategy", strategy, StrategyName::Rolling);
    let protected = root.or("protected", take::bool, false);
    let ssh = root.section_or_empty("ssh").and_then(|table| ssh::read(&table, folder));
    let limits = root.section_or_empty("limits").and_then(|table| limits::read(&table));
    let hosts = hosts::read(root);
    let vars = root.section_or_empty("vars").and_then(|table| vars::read(&table));
    let templates = Templates { vars: vars.as_ref().ok() };
    let balancers = balancers::read(root, templates, environment, hosts.as_deref().ok());
    root.finish();
    Draft { recipe, strategy, protected, ssh, limits, hosts, balancers, vars }
}

impl Draft {
    /// The inventory, if all of it could be read.
    pub fn finish(self, environment: EnvironmentName) -> Result<Inventory, Wrong> {
        Ok(Inventory {
            environment,
            recipe: self.recipe?,
            strategy: self.strategy?,
            protected: self.protected?,
            ssh: self.ssh?,
            limits: self.limits?,
            hosts: self.hosts?,
            balancers: self.balancers?,
            vars: self.vars?,
        })
    }
}

fn strategy(value: &Value<'_>) -> Result<StrategyName, Wrong> {
    take::one_of(value, &StrategyName::ALL.map(|strategy| (strategy.as_str(), strategy)))
}
