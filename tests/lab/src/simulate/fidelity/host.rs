//! The simulated host against a real one: what `current` names, what is whole and confirmed, what runs, where nginx sends traffic,
//! what the guard knows, and whether the step says that it worked.

use std::time::{Duration, Instant};

use shipit::model::{HostFacts, Instance, ReleaseId};

use super::deeds::Both;
use super::real::Real;
use crate::simulate::random::Random;

/// Of each fleet; two work side by side.
const SEQUENCES: u64 = 10;

/// Moves of a sequence: enough for a whole deploy and what it left.
const MOVES: usize = 16;

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

/// The sequences whose seeds begin at `first`; that of one seed alone with `FIDELITY_SEED`.
fn sequences(name: &str, first: u64) {
    let only = std::env::var("FIDELITY_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds = only.map_or(first..first + SEQUENCES, |seed| seed..seed + 1);
    let mut real = Real::up(name);
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(walk(&mut real, seed));
    }
}

#[test]
fn a_host_is_as_the_real_one_after_each_deed() {
    sequences("fidelity-1", 1);
}

#[test]
fn and_so_it_is_with_other_seeds() {
    sequences("fidelity-2", 1001);
}
