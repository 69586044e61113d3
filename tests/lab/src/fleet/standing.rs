//! The fleets that this process has made and not taken down yet, for the signal handler that must not leave one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Layout;
use crate::error::Result;

static STANDING: Mutex<Vec<Layout>> = Mutex::new(Vec::new());

fn standing() -> MutexGuard<'static, Vec<Layout>> {
    STANDING.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn add(layout: &Layout) {
    standing().push(layout.clone());
}

pub(super) fn remove(layout: &Layout) {
    standing().retain(|other| other.root != layout.root);
}

/// Takes down every fleet that this process has made: on Ctrl-C, when no value goes out of scope.
pub fn take_all_down() -> Result<()> {
    let layouts = standing().clone();
    layouts.iter().try_for_each(super::take_down)
}
