//! The app that the lab deploys: an HTTP server whose behaviour is part of its release.
//!
//! It is started in its release's directory and reads `app.toml` there, so that a new release can boot slowly, be cold,
//! stop rudely, or not work at all, without any help from the tool that deploys it.

mod answer;
mod behaviour;
mod server;

pub use behaviour::{Behaviour, Health, Stop};
pub use server::{Place, run};

/// A checksum for bodies: FNV-1a, which needs no table and no crate.
#[must_use]
pub fn checksum(body: &[u8]) -> u64 {
    body.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
