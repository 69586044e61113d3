//! The limits in numbers of hosts.

use super::PlanInput;
use crate::model::Rounding;

/// The limits of one deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many hosts the app has.
    pub fleet: usize,
    /// Most hosts out of service at once.
    pub max_in_flight: usize,
    /// Fewest hosts in service.
    pub min_serving: usize,
    /// Failed hosts that do not stop the deploy.
    pub max_failures: usize,
}

impl Limits {
    /// Turns shares into numbers, of *all* hosts of the app: `--only` makes no smaller fleet.
    pub(super) fn resolve(input: &PlanInput<'_>) -> Self {
        let fleet = input.inventory.with_role(&input.recipe.app.role).count();
        let limits = &input.options.limits;
        Self {
            fleet,
            // A share of few hosts may be less than one, and none at a time would never end.
            max_in_flight: limits.max_in_flight.of(fleet, Rounding::Down).max(1),
            min_serving: limits.min_serving.of(fleet, Rounding::Up),
            max_failures: limits.max_failures.of(fleet, Rounding::Down).saturating_sub(input.options.skipped.len()),
        }
    }
}
