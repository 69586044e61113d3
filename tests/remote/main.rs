//! The scripts for the hosts, as they are rendered, run by the shells that hosts have, on this machine: real processes that
//! listen, real archives, real repositories.

mod activate;
mod app;
mod confirm;
mod guard;
mod health;
mod hostile;
mod journal;
mod observe;
mod post;
mod rig;
mod stage;
mod stop;
mod talk;
mod task;
mod warm;
