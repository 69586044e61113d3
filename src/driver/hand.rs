//! What is done by hand: one host out of its balancers or in again, and a command on many hosts.

use std::time::Duration;

use futures::future::join_all;

use super::Fleet;
use crate::balancer::BalancerError;
use crate::model::{Host, HostName, Until, View};
use crate::transport::{ExecError, Output, Progress, Session, Transport};

/// How long balancers may take to see a healthy server.
const ADMIT: Duration = Duration::from_mins(1);

impl<T: Transport> Fleet<T> {
    /// Who takes traffic, as all balancers see it.
    pub async fn serving(&self) -> Result<View, BalancerError> {
        self.balancers.serving().await
    }

    /// Takes `host` out of its balancers and waits for its last request. It stays out.
    pub async fn take_out(&self, host: &Host, progress: &Progress) -> Result<String, BalancerError> {
        self.balancers.drain(host, self.site().recipe.drain, progress).await.map(|done| done.to_string())
    }

    /// Puts `host` back into its balancers, as soon as their checks pass.
    pub async fn put_in(&self, host: &Host, progress: &Progress) -> Result<(), BalancerError> {
        self.balancers.enable(host, Until::Up, ADMIT, progress).await
    }

    /// Runs `command`, a line of shell, on each of `hosts`, all at once; `None` where there is no connection.
    pub async fn execute(
        &self,
        hosts: &[&Host],
        command: &str,
        limit: Duration,
    ) -> Vec<(HostName, Option<Result<Output, ExecError>>)> {
        join_all(hosts.iter().map(|host| async {
            let script = self.site().execute(host, command, limit);
            // The host ends what takes too long; the answer of that is worth a moment.
            let limit = limit + Duration::from_secs(10);
            let output = match self.sessions.get(&host.name) {
                Some(session) => Some(session.run(&script, limit, &Progress::unheard()).await),
                None => None,
            };
            (host.name.clone(), output)
        }))
        .await
    }
}
