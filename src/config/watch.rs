//! `[watch]`: how long a host that is back is watched.

use std::time::Duration;

use crate::model::WatchSpec;

use super::report::Wrong;
use super::table::Table;
use super::take;

/// Long enough for the first requests of a busy site to be counted, short enough not to show in the length of a deploy.
const DURATION: Duration = Duration::from_secs(1);

/// Reads `[watch]`.
pub(super) fn read(table: &Table<'_>) -> Result<WatchSpec, Wrong> {
    let duration = table.or("duration", take::duration, DURATION);
    table.finish();
    Ok(WatchSpec { duration: duration? })
}
