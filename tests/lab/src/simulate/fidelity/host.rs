//! The simulated host against a real one: what `current` names, what is whole and confirmed, what runs, where nginx sends traffic,
//! what the guard knows, and whether the step says that it worked.

use std::time::{Duration, Instant};

use shipit::model::{HostFacts, Instance, ReleaseId};

use super::deeds::Both;
use super::real::Real;
use crate::simulate::random::Random;

/// Fleets that work side by side: most of the time they wait.
const FLEETS: u64 = 4;

/// Of each fleet.
const SEQUENCES: u64 = 6;

/// Moves of a sequence: enough for a whole deploy and what it left.
const MOVES: usize = 14;

/// No app takes a tenth of this to come up, even on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// What is to be the same.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub current: Option<ReleaseId>,
    pub releases: Vec<ReleaseId>,
    pub confirmed: Vec<ReleaseId>,
    /// What each runs, and whether it is well.
    pub instances: Vec<(Instance, Option<ReleaseId>, bool)>,
    pub routed: Vec<Instance>,
    pub undos: Vec<usize>,
    pub keeps_warm: bool,
}

impl Facts {
    pub(super) fn of(facts: HostFacts, undos: Vec<usize>, keeps_warm: bool) -> Self {
        let all = facts.instances.into_iter().chain(facts.idle);
        let mut instances: Vec<_> = all.map(|one| (one.instance, one.running, one.healthy)).collect();
        instances.sort();
        Self {
            current: facts.current,
            releases: facts.releases.into_iter().map(|release| release.id).collect(),
            confirmed: facts.confirmed,
            instances,
            routed: facts.routed,
            undos,
            keeps_warm,
        }
    }
}

/// Does the same to both, and compares them after each move.
async fn walk(real: &mut Real, seed: u64) {
    let mut random = Random::of(seed);
    let mut both = Both::begin(real, seed, &mut random);
    both.settle().await;
    compare(&both, seed);
    for _ in 0..MOVES {
        let next = both.choose(&mut random).await;
        both.done.push(format!("{next:?}"));
        let can_be_seen = next.can_be_seen();
        let (real, simulated) = both.make(next).await;
        let told = format!("seed {seed}: real {real:?}, simulated {simulated:?}, after\n{}", both.done.join("\n"));
        assert_eq!(real.is_ok(), simulated.is_ok(), "{told}");
        if let (Err(real), Err(simulated)) = (real, simulated) {
            both.done.push(format!("    real: {real}\n    simulated: {simulated}"));
        }
        if can_be_seen {
            compare(&both, seed);
        }
    }
    compare(&both, seed);
}

fn compare(both: &Both<'_>, seed: u64) {
    let wanted = both.simulated();
    let end = Instant::now() + SOON;
    loop {
        let found = both.real();
        if found == wanted {
            return;
        }
        let told = format!("seed {seed}: real {found:#?}\nsimulated {wanted:#?}\nafter\n{}", both.done.join("\n"));
        assert!(Instant::now() < end, "{told}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The sequences of these seeds, on a fleet of their own.
fn sequences(fleet: u64, seeds: &[u64]) {
    let mut real = Real::up(&format!("fidelity-{fleet}"));
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(walk(&mut real, *seed));
    }
}

/// With `FIDELITY_SEED`, that of one seed alone.
#[test]
fn a_simulated_host_is_as_a_real_one_after_each_deed() {
    if let Ok(seed) = std::env::var("FIDELITY_SEED") {
        return sequences(0, &[seed.parse().unwrap()]);
    }
    std::thread::scope(|scope| {
        for fleet in 0..FLEETS {
            let seeds: Vec<u64> = (0..SEQUENCES).map(|seed| seed * FLEETS + fleet).collect();
            scope.spawn(move || sequences(fleet, &seeds));
        }
    });
}
