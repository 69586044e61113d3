//! What a campaign once stumbled over, or would only by rare chance: each by its name.

use std::time::Duration;

use shipit::model::StrategyName;

use super::fault::Fault;
use super::setup::{Base, Setup};
use super::story::play;

/// Plays a deploy to which these faults happen at these times, in milliseconds, for several such times; no promise may be broken.
fn strikes(setup: &Setup, schedules: impl Iterator<Item = Vec<(u64, Fault)>>) {
    for schedule in schedules {
        let mut setup = setup.clone();
        setup.scheduled = schedule.iter().map(|(at, fault)| (Duration::from_millis(*at), *fault)).collect();
        let told = play(setup, false);
        assert!(told.violations.is_empty(), "{schedule:?}: {:?}", told.violations);
    }
}

/// The guard finds an app that does not answer, and can't know that nobody but the app itself is to blame. haproxy, which is slow
/// to notice, sends traffic to what crashed, and so it does to what the guard starts in its place.
#[test]
fn an_app_crashes_by_itself_while_the_runner_is_lost() {
    let mut setup = Setup::plain(&Base::read().unwrap(), 1, StrategyName::Rolling, 1, 1, 2);
    setup.options.limits.min_serving = shipit::model::Amount::Count(0);
    (setup.check, setup.fall) = (Duration::from_secs(3), 3);
    let cuts = (0..4).map(|turn| 11_000 + turn * 700);
    let crashes = [13_000, 14_000, 14_500, 14_900];
    strikes(
        &setup,
        cuts.flat_map(|cut| {
            crashes.map(|crash| {
                vec![(cut, Fault::RunnerCutOff), (cut + 500, Fault::RunnerCutOff), (cut + crash, Fault::AppCrash)]
            })
        }),
    );
}

/// A fleet on which nothing was ever deployed, then one on which the first deploy failed and left an app that serves and no
/// `current`: on the way back from the next it is to answer before it gets traffic.
#[test]
fn the_first_release_ever_fails_and_so_does_the_next() {
    for strategy in [StrategyName::Rolling, StrategyName::Hotswap, StrategyName::Preboot] {
        for seed in 0..40 {
            let mut setup = Setup::plain(&Base::read().unwrap(), seed, strategy, 2, 1, 2);
            (setup.is_first, setup.after) = (true, super::setup::After::Next);
            setup.swarm = super::fault::Swarm::of(&[Fault::CommandFails]);
            let told = play(setup, false);
            assert!(told.violations.is_empty(), "{strategy}, seed {seed}: {:?}", told.violations);
        }
    }
}

/// Somebody takes a host out that is just being watched, and reloads haproxy, which forgets it, while the host goes back and is drained
/// for that. Who drains it then is shipit, so shipit puts it back.
#[test]
fn what_somebody_takes_out_is_put_back_by_a_reload_on_the_way_back() {
    for balancers in [1, 2] {
        let mut setup = Setup::plain(&Base::read().unwrap(), 1, StrategyName::Rolling, 1, balancers, 2);
        setup.options.limits.min_serving = shipit::model::Amount::Count(0);
        let drains = (6000..12_000).step_by(500);
        let waits = (50..1200).step_by(50);
        strikes(
            &setup,
            drains.flat_map(|drain| {
                let reload = move |wait| (drain + wait, Fault::HaproxyReload);
                waits.clone().map(move |wait| vec![(drain, Fault::ForeignDrain), reload(wait)])
            }),
        );
    }
}

/// The release is live everywhere and its app dies just when that is to be read back. Nothing was rolled back, and no exit code may say so.
#[test]
fn an_app_crashes_just_before_its_release_is_confirmed() {
    for strategy in [StrategyName::Rolling, StrategyName::Preboot] {
        let mut setup = Setup::plain(&Base::read().unwrap(), 1, strategy, 1, 1, 1);
        setup.options.limits.min_serving = shipit::model::Amount::Count(0);
        (setup.check, setup.fall) = (Duration::from_secs(3), 3);
        strikes(&setup, (4000..16_000).step_by(40).map(|at| vec![(at, Fault::AppCrash)]));
    }
}
