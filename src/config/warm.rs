//! `[warm]`: the requests before traffic.

use std::time::Duration;

use crate::model::WarmSpec;

use super::report::Wrong;
use super::table::Table;
use super::template::Templates;
use super::{take, url};

/// So often each: enough for lazy loading and connection pools, and over in a moment.
const REQUESTS: u32 = 5;

/// For one answer: the first request to a fresh process may compile and connect.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads `[warm]`; without it nothing is asked.
pub(super) fn read(table: &Table<'_>, templates: Templates<'_>) -> Result<WarmSpec, Wrong> {
    let urls = table.optional("urls", |value| value.list("a list of URLs", |item| url::of_a_page(item, templates)));
    let requests =
        table.or("requests", take::at_least(1, "a number of requests", "leave `[warm]` away for none"), REQUESTS);
    let timeout = table.or("timeout", take::duration, TIMEOUT);
    table.finish();
    let urls = urls?.unwrap_or_default().into_iter().map(|(url, _)| url).collect();
    Ok(WarmSpec { urls, requests: requests?, timeout: timeout? })
}
