//! The simulated fleet against real servers: the same is done to both, chosen by chance, and the same is seen after each deed.
//!
//! Every sequence has a seed, which a difference is told with, and which decides all of it.

mod deeds;
mod haproxy;
mod host;
mod real;
#[path = "../../../../remote/rig.rs"]
#[expect(dead_code, reason = "the tests of the scripts need more of it")]
mod rig;
#[path = "../../../../remote/talk.rs"]
mod talk;
