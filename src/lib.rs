//! Deploys a release to a fleet of servers without one failed request.
//!
//! The folders are layers, and imports go down only (`tests/layers.rs` holds them to it):
//!
//! | layer | folders | may know |
//! |---|---|---|
//! | words | [`model`] | nothing but std: no I/O, no clock, no async |
//! | text | [`config`], [`plan`] | the words |
//! | decisions | [`strategy`], [`engine`] | plans and words: pure functions |
//! | outside | [`transport`], [`balancer`], [`remote`], [`artifact`], [`report`] | one piece of the world each |
//! | glue | [`driver`] | all of the above |
//! | user | [`cli`] | everything |
//!
//! `ARCHITECTURE.md` tells the same as a story.

pub mod artifact;
pub mod balancer;
pub mod cli;
pub mod config;
pub mod driver;
pub mod engine;
pub mod model;
pub mod plan;
pub mod remote;
pub mod report;
pub mod strategy;
pub mod transport;
