//! The one place through which the simulated fleet is touched: after each change, what follows from it is settled and checked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::setup::Setup;
use super::state::State;

/// A simulated fleet, as all that goes on in it shares it.
pub(super) struct Fleet {
    pub setup: Setup,
    state: Mutex<State>,
}

/// Something that happens by itself after a while.
pub(super) struct Later {
    pub after: Duration,
    pub what: Happening,
}

/// What happens.
pub(super) type Happening = Box<dyn FnOnce(&Arc<Fleet>) + Send>;

impl Fleet {
    pub(super) fn of(setup: Setup, state: State) -> Arc<Self> {
        Arc::new(Self { setup, state: Mutex::new(state) })
    }

    /// Looks at the fleet or changes it, at one moment.
    pub(super) fn with<T>(self: &Arc<Self>, work: impl FnOnce(&mut State) -> T) -> T {
        let Ok(mut state) = self.state.lock() else { unreachable!("nobody panics while holding the fleet") };
        state.now = Instant::now();
        let done = work(&mut state);
        state.settle();
        let later = std::mem::take(&mut state.later);
        drop(state);
        for Later { after, what } in later {
            let fleet = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                what(&fleet);
            });
        }
        done
    }

    /// Waits for a time that chance chooses, in milliseconds.
    pub(super) async fn pause(self: &Arc<Self>, from: u64, to: u64) {
        let pause = self.with(|state| state.random.millis(from, to));
        tokio::time::sleep(pause).await;
    }
}
