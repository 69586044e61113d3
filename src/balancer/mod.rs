//! Balancers: what spreads traffic over the hosts.
//!
//! haproxy is driven by its runtime socket: no file of its configuration is touched, nothing is reloaded, and requests
//! in flight are counted instead of guessed at. The driver calls this; it imports the words and the transport only.

mod agree;
mod drain;
mod enable;
mod error;
mod haproxy;
mod leg;
mod preflight;
mod set;
mod socket;
mod watch;
mod wire;

pub use drain::Drained;
pub use error::{BalancerError, Target};
pub use preflight::preflight;
pub use set::{Balancers, WayBack};
pub use socket::ASK;
pub use watch::{Tally, WatchReport};
