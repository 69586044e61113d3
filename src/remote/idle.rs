//! Instances that get no traffic: the scripts that wait for what is left on them, and that end them.

use std::time::Duration;

use super::render::exports;
use super::route::{CONNECTIONS, ports};
use super::{Site, seconds};
use crate::model::{Host, Instance, Leftover};
use crate::transport::Script;

const IDLE: &str = include_str!("scripts/idle.sh");

impl Site<'_> {
    /// The script that waits until nothing is left on `instances`; `None` without `[preboot]`.
    pub(super) fn clear(&self, host: &Host, instances: &[Instance]) -> Option<Script> {
        self.idle(host, include_str!("scripts/clear.sh"), instances)
    }

    /// The script that stops `instances`, or has the host do so after a while; `None` without `[preboot]`.
    pub(super) fn stop(&self, host: &Host, instances: &[Instance], after: Duration) -> Option<Script> {
        let later = self.idle(host, include_str!("scripts/retire.sh"), instances)?;
        let script = self.idle(host, include_str!("scripts/stop.sh"), instances)?;
        let after = if after.is_zero() { "0".to_owned() } else { seconds(after) };
        Some(script.with("RETIRE", later.lean()).with("AFTER", after))
    }

    fn idle(&self, host: &Host, body: &'static str, instances: &[Instance]) -> Option<Script> {
        let stop = &self.recipe.preboot.as_ref()?.stop;
        let drain = &self.recipe.drain;
        let script = self.process(host, body, None, instances).using(IDLE).using(CONNECTIONS);
        let script = self.watching(self.with_routes(script, host), host);
        let script = self
            .commands(script, host, None, instances, stop)
            .with("ENVIRONMENT", exports(&self.exported(host, None)))
            .with("IDLE", ports(instances))
            .with("STOP_TIMEOUT", seconds(self.recipe.app.restart_timeout))
            .with("DRAIN_TIMEOUT", seconds(drain.timeout))
            .with("LEFTOVER", if drain.leftover == Leftover::Cut { "cut" } else { "abort" });
        Some(script)
    }
}
