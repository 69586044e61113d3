//! The seam between the engine and everything that takes time: real hosts here, a simulated fleet in tests.

use std::future::Future;
use std::time::Duration;

use crate::model::{HostName, StepResult, View};
use crate::plan::{Action, Lane};
use crate::remote::Undo;
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

impl Deed {
    /// The step of `lane` at this place, and what its guard is to know of it.
    #[must_use]
    pub fn of(lane: &Lane, place: usize) -> Self {
        let step = &lane.steps[place];
        let unless_healthy = match &step.action {
            Action::Activate { release: Some(release), instances } if lane.takes_host_out() => {
                Some((release.clone(), instances.clone()))
            }
            _ => None,
        };
        let undo = || Undo { step: place, actions: step.undo.clone(), unless_healthy };
        Self { action: step.action.clone(), undo: (!step.undo.is_empty()).then(undo), back: None }
    }

    /// What takes the step at this place back.
    #[must_use]
    pub fn back(action: Action, step: usize) -> Self {
        Self { action, undo: None, back: Some(step) }
    }
}
