//! Fleets of real servers to try shipit on, the load that must not lose a request meanwhile, and what is measured with them.
//!
//! A fleet is made of the programs that real ones run: sshd, haproxy, nginx, and an app with a small init system. They
//! listen on loopback addresses of their own, need no root, and are up in a second or two. The command `cargo lab` is one
//! user of this library; shipit's own tests are the other.

pub mod app;
pub mod bench;
mod command;
pub mod crash;
pub mod demo;
pub mod error;
pub mod fleet;
pub mod interrupt;
pub mod load;
pub mod packages;
mod parallel;
pub mod process;
pub mod scenario;
pub mod shipit;
pub mod simulate;
pub mod span;
pub mod suite;
mod wait;
pub mod workspace;
