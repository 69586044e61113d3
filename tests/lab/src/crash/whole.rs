//! Whether a fleet is whole: every server takes traffic, every instance is in and answers, and nobody is at work on it.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use super::{Error, Fleet, Result};
use crate::fleet::{haproxy, nginx, strangers};
use crate::wait::until;

/// Waits until all of `fleet` is whole.
pub(super) fn await_whole(fleet: &Fleet, within: Duration) -> Result<()> {
    let mut lacks = Vec::new();
    until("the fleet is whole", within, None, || {
        lacks = lacking(fleet);
        if !lacks.is_empty() {
            // Every instance is asked; more often would take the processors from what puts them back.
            sleep(Duration::from_millis(100));
        }
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

/// Waits until no session is left, and no guard. With preboot there may be what watches over an old release that is kept warm.
pub(super) fn await_nobody(fleet: &Fleet, within: Duration) -> Result<()> {
    if fleet.spec.preboot {
        return Ok(());
    }
    let mut left = Vec::new();
    until("nobody is left", within, None, || {
        left = strangers(fleet);
        left.is_empty().then_some(())
    })
    .map_err(|_| {
        let left: Vec<String> = left.iter().map(|one| format!("{} ({})", one.process.pid(), one.command)).collect();
        Error::Failed(format!("after {within:?} processes are left: {}", left.join(", ")))
    })
}

/// The version of the release that all processes are of.
pub(super) fn one_release(fleet: &Fleet) -> Result<String> {
    let mut versions: Vec<_> = fleet.instances().into_iter().filter_map(|instance| instance.version).collect();
    versions.sort();
    versions.dedup();
    match &versions[..] {
        [version] => Ok(version.clone()),
        _ => Err(Error::Failed(format!("versions {} run", versions.join(", ")))),
    }
}

/// Whether a host has noted that it ran the release of this version well.
pub(super) fn is_confirmed(fleet: &Fleet, version: &str) -> bool {
    fleet.web.iter().any(|host| {
        let confirmed = fs::read_to_string(host.srv().join(".shipit/confirmed")).unwrap_or_default();
        let version_of = |id| fs::read_to_string(host.srv().join("releases").join(id).join("version"));
        confirmed.lines().any(|id| version_of(id).is_ok_and(|text| text.trim() == version))
    })
}
