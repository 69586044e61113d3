//! Whether a fleet is whole: every server takes traffic, every instance is in and answers, and nobody is at work on it.

use std::time::Duration;

use super::{Error, Fleet, Result};
use crate::fleet::{haproxy, nginx};
use crate::wait::until;

/// Waits until all of `fleet` is whole.
pub(super) fn await_whole(fleet: &Fleet, within: Duration) -> Result<()> {
    let mut lacks = Vec::new();
    until("the fleet is whole", within, None, || {
        lacks = lacking(fleet);
        lacks.is_empty().then_some(())
    })
    .map_err(|_| Error::Failed(format!("after {within:?}: {}", lacks.join(", "))))
}

fn lacking(fleet: &Fleet) -> Vec<String> {
    let mut lacks = Vec::new();
    for balancer in &fleet.balancers {
        match haproxy::servers(&fleet.layout.admin_socket(&balancer.name)) {
            Ok(servers) => {
                let down = servers.iter().filter(|server| server.status != "UP");
                lacks.extend(down.map(|server| format!("{} is {} on {}", server.name, server.status, balancer.name)));
            }
            Err(error) => lacks.push(error.to_string()),
        }
    }
    for host in &fleet.web {
        lacks.extend(
            nginx::left_out(&fleet.layout, host, &fleet.spec)
                .iter()
                .map(|port| format!("{} is out of nginx on {}", port, host.name)),
        );
        if host.srv().join(".shipit/guard/run").exists() || host.srv().join(".shipit/guard/acting").exists() {
            lacks.push(format!("a guard stands on {}", host.name));
        }
        if host.srv().join(".shipit/broken").exists() {
            lacks.push(format!("the guard on {} could not undo everything", host.name));
        }
    }
    let silent = fleet.instances().into_iter().filter(|instance| instance.version.is_none());
    lacks.extend(silent.map(|instance| format!("{}:{} does not answer", instance.host, instance.port)));
    lacks
}

/// Every process must be of the same release.
pub(super) fn one_release(fleet: &Fleet) -> Result<()> {
    let mut versions: Vec<_> = fleet.instances().into_iter().filter_map(|instance| instance.version).collect();
    versions.sort();
    versions.dedup();
    if versions.len() == 1 { Ok(()) } else { Err(Error::Failed(format!("versions {} run", versions.join(", ")))) }
}
