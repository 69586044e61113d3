//! The seam between the engine and everything that takes time: real hosts here, a simulated fleet in tests.

use std::future::Future;
use std::time::Duration;

use crate::model::{HostName, Instance, ReleaseId, StepResult, View};
use crate::plan::Action;
use crate::transport::Progress;

/// A fleet that can be acted on.
pub trait World: Send + Sync + 'static {
    /// Does the `deed` on `host`, within `limit`. Looks first and reads back, so that repeating it is safe; a result is unknown
    /// only if looking again was not possible either.
    fn perform(
        &self,
        host: &HostName,
        deed: &Deed,
        limit: Duration,
        progress: Progress,
    ) -> impl Future<Output = StepResult> + Send;

    /// What the host's guard was told to undo is settled: done for good, or undone.
    fn forget(&self, host: &HostName);

    /// Who serves right now. `Err` says why that can't be known.
    fn look(&self) -> impl Future<Output = Result<View, String>> + Send;

    /// Watches `hosts` for `duration` on the balancers' counters.
    fn bake(&self, hosts: &[HostName], duration: Duration) -> impl Future<Output = StepResult> + Send;
}

/// An action, and what the host's guard is to know before it is begun.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// What is done.
    pub action: Action,
    /// What the guard does about it if shipit is gone; `None` for what needs no undo, or is one.
    pub undo: Option<Undo>,
    /// On the way back, the place of the step that this takes back: what came after it has been taken back, and the guard
    /// is not to do that again. It is done even where a guard has put the host back already.
    pub back: Option<usize>,
}

/// What a guard does about one step of its host's lane.
#[derive(Debug, Clone, PartialEq)]
pub struct Undo {
    /// The step's place in the lane: what was done last is undone first.
    pub step: usize,
    /// In order.
    pub actions: Vec<Action>,
    /// If these instances are healthy on this release, nothing is undone. Said of hosts that were taken out of the balancers:
    /// those get their traffic back at once, so that an app that works must not be restarted any more.
    pub unless_healthy: Option<(ReleaseId, Vec<Instance>)>,
}

impl Deed {
    /// What takes the step at this place back.
    #[must_use]
    pub fn back(action: Action, step: usize) -> Self {
        Self { action, undo: None, back: Some(step) }
    }
}
