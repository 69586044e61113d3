//! What a look at the simulated fleet shows a run: nothing of hosts out of reach.

use std::collections::BTreeMap;

use shipit::model::{
    BalancerFacts, BalancerKey, HostFacts, HostName, InstanceFacts, Observation, Reach, ServerFacts, ServerName,
    ServerState,
};

use super::state::State;
use super::world::Runner;

impl Runner {
    /// Looks at everything.
    pub(super) async fn observe(&self) -> Observation {
        Observation { hosts: self.observe_hosts().await, balancers: self.observe_balancers().await }
    }

    /// Looks at the hosts.
    pub(super) async fn observe_hosts(&self) -> BTreeMap<HostName, HostFacts> {
        let mut hosts = BTreeMap::new();
        for (name, place) in &self.places {
            let facts = self.ask(*place, |state| state.host_facts(*place)).await;
            let silent = |_| HostFacts { reach: Reach::Unreachable("no answer".to_owned()), ..HostFacts::default() };
            hosts.insert(name.clone(), facts.unwrap_or_else(silent));
        }
        hosts
    }

    async fn observe_balancers(&self) -> Vec<BalancerFacts> {
        let mut balancers = Vec::new();
        for balancer in 0..self.fleet.setup.balancers {
            let station = self.fleet.setup.hosts + balancer;
            let servers = self.ask(station, |state| state.servers(balancer)).await;
            let host = self.fleet.with(|state| state.stations[station].name.clone());
            let backend = self.fleet.setup.inventory.balancers[0].backend.clone();
            let reach = if servers.is_ok() { Reach::Reached } else { Reach::Unreachable("no answer".to_owned()) };
            balancers.push(BalancerFacts {
                key: BalancerKey { host, backend },
                reach,
                servers: servers.unwrap_or_default(),
                problems: Vec::new(),
            });
        }
        balancers
    }
}

impl State {
    pub(super) fn host_facts(&self, host: usize) -> HostFacts {
        let (here, recipe) = (&self.hosts[host], &self.setup.recipe);
        let all = recipe.instances();
        let instances = all.iter().zip(&here.apps).map(|(instance, app)| InstanceFacts {
            instance: *instance,
            running: app.release.clone(),
            healthy: app.is_healthy,
            memory: None,
        });
        let routed = all.iter().zip(&here.routed).filter(|(_, routed)| **routed);
        HostFacts {
            reach: Reach::Reached,
            current: here.current.clone(),
            releases: here.releases.values().filter(|one| one.is_sealed).map(|one| one.release.clone()).collect(),
            instances: instances.collect(),
            confirmed: here.confirmed.clone(),
            routed: if recipe.hotswap.is_some() { routed.map(|(one, _)| *one).collect() } else { Vec::new() },
            ..HostFacts::default()
        }
        .split(recipe.second_set())
    }

    pub(super) fn servers(&self, balancer: usize) -> BTreeMap<ServerName, ServerFacts> {
        let servers = self.balancers[balancer].servers.iter().zip(&self.stations);
        let facts = servers.filter_map(|(server, station)| {
            let status = match (server.state, server.is_up) {
                (ServerState::Ready, true) => "UP",
                (ServerState::Drain, true) => "DRAIN",
                (ServerState::Maint, _) => "MAINT",
                (_, false) => "DOWN",
            };
            let facts = ServerFacts {
                state: server.state,
                up: server.is_up,
                weight: 1,
                checked: true,
                status: status.to_owned(),
                address: String::new(),
                sticky: false,
            };
            Some((station.name.as_str().parse().ok()?, facts))
        });
        facts.collect()
    }
}
