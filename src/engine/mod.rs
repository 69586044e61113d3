//! The engine: decides what may happen next. No I/O, no clock, no async.
//!
//! The [`Scheduler`] hears what happened as [`Fact`]s and answers with [`Command`]s. Facts and commands together, as
//! [`Event`]s, are what reporters read and what is journaled.

mod back;
mod books;
mod cancel;
mod event;
mod fact;
mod floor;
mod judge;
mod lane;
mod meet;
mod outcome;
mod scheduler;

pub use crate::model::{Failure, StepResult};
pub use event::{Event, Stamped};
pub use fact::{Cancel, Command, Fact, LaneRef};
pub use judge::Aftermath;
pub use lane::LaneEnd;
pub use outcome::{End, HostEnd, Outcome};
pub use scheduler::Scheduler;
