//! The transport against a real sshd.

mod connecting;
mod leaving;
mod running;
mod sshd;
mod uploading;
