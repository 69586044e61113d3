//! Keeps connections through one jump host few at a time: it sees those to every host behind it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Limits;
use super::leash::Leash;
use super::ssh_config::SshConfig;

/// The jump hosts met so far.
#[derive(Debug, Default)]
pub(super) struct Bastions(Mutex<BTreeMap<String, Arc<Semaphore>>>);

impl Bastions {
    /// What to hold while connecting to `address`, if that is behind a jump host. If ssh does not say, it is taken to be not.
    pub(super) async fn before(
        &self,
        address: &str,
        config: &SshConfig,
        leash: &Leash,
        limits: &Limits,
    ) -> Option<Arc<Semaphore>> {
        if !config.may_jump() {
            return None;
        }
        let mut ask = Command::new("ssh");
        ask.arg("-G").arg("-F").arg(config.path()).args(["--", address]);
        // A `Match exec` may run anything.
        ask.process_group(leash.group()).kill_on_drop(true).stdin(Stdio::null());
        let said = timeout(limits.word, ask.output()).await.ok()?.ok()?;
        let name = first_hop(&String::from_utf8_lossy(&said.stdout))?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(known.entry(name).or_insert_with(|| Arc::new(Semaphore::new(limits.connects_per_bastion)))))
    }
}

/// The host, or the command, that a connection goes through first, from what `ssh -G` prints.
fn first_hop(resolved: &str) -> Option<String> {
    resolved.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        match key {
            "proxyjump" => value.split(',').next().map(str::to_owned),
            "proxycommand" => Some(value.to_owned()),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_behind_one_jump_host_share_it() {
        assert_eq!(first_hop("user me\nproxyjump b1,b2\n").as_deref(), Some("b1"));
        assert_eq!(first_hop("proxycommand nc -x p %h %p\n").as_deref(), Some("nc -x p %h %p"));
        assert_eq!(first_hop("user me\n"), None);
    }
}
