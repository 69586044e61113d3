//! `cargo lab bench`: what shipit costs, always as a ratio to a floor that is measured in the same run.
//!
//! Seconds mean nothing on another machine, or on this one tomorrow. The floor is bare shell that does no more than it must, and
//! the two take turns, so that a machine that gets slower gets slower for both.

mod against_floor;
mod contest;
mod peers;
mod preboot;
mod scale;
mod upload;
mod usage;

pub use against_floor::{Options as FloorOptions, against_floor};
pub use contest::Contest;
pub use peers::{Options as PeersOptions, peers};
pub use preboot::{Options as PrebootOptions, preboot};
pub use scale::{Options as ScaleOptions, scale};
pub use upload::{Options as UploadOptions, upload};

use serde::Serialize;

use crate::error::{Error, Result};

/// Fewer runs have no median worth the name.
const FEWEST_RUNS: u8 = 3;

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

fn least(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::INFINITY, f64::min)
}

fn print_json(measurement: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(measurement).map_err(|error| Error::Failed(error.to_string()))?;
    println!("{text}");
    Ok(())
}
