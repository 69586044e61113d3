//! `cargo lab simulate`: shipit's own scheduler, driver, strategies and judgement over a fleet that is not there.
//!
//! Hosts, balancers, guards and lines are simulated on a clock that jumps from event to event, so a deploy takes a
//! millisecond. One seed decides everything: the fleet, what goes wrong, and when. What the promises say is asked of the
//! simulated fleet's own history.
//!
//! What it can't tell: whether the real fleet behaves like the simulated one. Of the guards it takes for granted that
//!
//! - a guard that makes a server ready has haproxy ask the app before it sends it anything;
//! - a runner that has not heard of a balancer's guard of late restarts nothing that it drained there;
//! - what a runner takes back itself, its guard forgets, the last step first;
//! - a step that hangs before it acts never acts, and what a guard could not undo ends its work.

mod campaign;
#[cfg(test)]
mod cases;
mod chaos;
mod check;
mod crash;
mod deploy;
mod fault;
#[cfg(test)]
mod fidelity;
mod fleet;
mod guard;
mod haproxy;
mod idle;
mod machine;
mod observe;
mod random;
mod sabotage;
mod script;
mod setup;
mod state;
mod story;
mod trace;
mod traffic;
mod world;

pub use campaign::{Options, run};
