//! The runner killed at every point of a deploy, one point at a time, with everything that may follow.

use shipit::model::StrategyName;

use super::setup::{After, Base, Setup};
use super::story::play;

/// What came of it.
pub(super) struct Crashes {
    pub played: u64,
    /// What was tried, and what it violated.
    pub failed: Vec<(String, Vec<String>)>,
}

/// Every strategy, every point, everything that may follow, on a fleet of four hosts.
pub(super) fn everywhere(base: &Base) -> Crashes {
    let mut crashes = Crashes { played: 0, failed: Vec::new() };
    for strategy in [StrategyName::Rolling, StrategyName::Hotswap, StrategyName::Preboot] {
        for after in After::ALL {
            let mut setup = Setup::plain(base, 1, strategy, 4, 2, 2);
            setup.after = after;
            let points = play(setup.clone(), false).points;
            for point in 1..=points {
                setup.killed_at = Some(point);
                let told = play(setup.clone(), false);
                crashes.played += 1;
                if !told.violations.is_empty() {
                    let words = format!("{strategy}, killed at point {point} of {points}, then {after:?}");
                    crashes.failed.push((words, told.violations));
                }
            }
        }
    }
    crashes
}
