//! `[drain]`: how long requests in flight may take.

use std::time::Duration;

use crate::model::{DrainSpec, Leftover};

use super::report::Wrong;
use super::table::Table;
use super::take;

/// At least the longest request: what load balancers and app servers commonly allow one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads `[drain]`. Unless it says otherwise, a host with connections that stay is put back as it was: a deploy that
/// stops is mended, a request that was cut is not.
pub(super) fn read(table: &Table<'_>) -> Result<DrainSpec, Wrong> {
    let words = [("abort", Leftover::Abort), ("cut", Leftover::Cut)];
    let timeout = table.or("timeout", take::duration, TIMEOUT);
    let leftover = table.or("leftover", |value| take::one_of(value, &words), Leftover::Abort);
    table.finish();
    Ok(DrainSpec { timeout: timeout?, leftover: leftover? })
}
