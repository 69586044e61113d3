//! The seam between the engine and everything that takes time: real hosts here, a simulated fleet in tests.

use std::future::Future;
use std::time::Duration;

use crate::model::{HostName, StepResult, View};
use crate::plan::Action;
use crate::transport::Progress;

/// A fleet that can be acted on.
pub trait World: Send + Sync + 'static {
    /// Does `action` on `host`, within `limit`. Looks first and reads back, so that repeating it is safe; a result is unknown
    /// only if looking again was not possible either.
    fn perform(
        &self,
        host: &HostName,
        action: &Action,
        limit: Duration,
        progress: Progress,
    ) -> impl Future<Output = StepResult> + Send;

    /// Who serves right now. `Err` says why that can't be known.
    fn look(&self) -> impl Future<Output = Result<View, String>> + Send;

    /// Watches `hosts` for `duration` on the balancers' counters.
    fn bake(&self, hosts: &[HostName], duration: Duration) -> impl Future<Output = StepResult> + Send;
}
