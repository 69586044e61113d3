//! Ctrl-C: what the lab started is ended before the lab is.

use std::process;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::{fleet, shipit};

/// From here on SIGINT and SIGTERM take down every fleet of this process, and then end it with code 130.
pub fn take_fleets_along() {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        if runtime.block_on(interrupted()).is_none() {
            return;
        }
        eprintln!("\nlab: interrupted; everything is being ended");
        shipit::stop_running();
        if let Err(error) = fleet::take_all_down() {
            eprintln!("lab: {error}");
        }
        process::exit(130);
    });
}

async fn interrupted() -> Option<()> {
    let mut terminate = signal(SignalKind::terminate()).ok()?;
    let mut hang_up = signal(SignalKind::hangup()).ok()?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.ok(),
        received = terminate.recv() => received,
        received = hang_up.recv() => received,
    }
}
