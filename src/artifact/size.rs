//! How large an archive is that the hosts will fetch.

use std::time::Duration;

use crate::model::Size;

/// The answer only spares the hosts a full disk, so it is not worth a long wait.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// A packed archive unpacks to a multiple of its size, and both are on the disk at once.
const WITH_UNPACKED: u64 = 6;

/// Asks the server for the archive's length. The runner may well not reach what the hosts reach: then it is not known.
pub(super) async fn of_url(url: &str) -> Size {
    Size { bytes: length(url).await.unwrap_or(0).saturating_mul(WITH_UNPACKED), entries: 0 }
}

async fn length(url: &str) -> Option<u64> {
    // Another part of the program may have chosen a provider before; then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(ASK_TIMEOUT).build().ok()?;
    let answer = client.head(url).send().await.ok()?;
    answer.headers().get(reqwest::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
