//! The limits that a transport keeps to.

use std::time::Duration;

/// How long the transport waits for what, and how much it does at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until a host has answered at all, in whole seconds (`ConnectTimeout`). It ends when sshd says what it is.
    pub tcp: Duration,
    /// Until a session is open, all tries together. Longer than [`Limits::tcp`], which a server that stalls after its first
    /// words escapes.
    pub connect: Duration,
    /// For a word with our own ssh, and with the host about a forward. A healthy one answers within a round trip.
    pub word: Duration,
    /// Until a process of ours that was told to end is killed.
    pub close: Duration,
    /// How long a link may be silent before ssh asks whether it is there, in whole seconds (`ServerAliveInterval`).
    pub alive_interval: Duration,
    /// How many such questions may go unanswered (`ServerAliveCountMax`).
    ///
    /// With the default of 2 every 3 s, a dead link is noticed after 9 s or so. That is before the guard on the host, which waits for
    /// 15 s, takes shipit for dead: a connection that a router has forgotten is made anew, and the deploy goes on.
    pub alive_count: u32,
    /// Connections being opened at once. More gain nothing: 200 hosts took as long with 50 at once as with 200, and each
    /// costs a few MB of memory.
    pub connects: usize,
    /// Connections being opened at once through one jump host. sshd drops new ones at random from the tenth that is not
    /// logged in yet (`MaxStartups 10:30:100`), and a person may be logging in too.
    pub connects_per_bastion: usize,
    /// Executions at once in one session. sshd allows ten (`MaxSessions`); two are left for those that timed out and are
    /// still running on the host.
    pub execs_per_session: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tcp: Duration::from_secs(10),
            connect: Duration::from_secs(15),
            word: Duration::from_secs(5),
            close: Duration::from_secs(5),
            alive_interval: Duration::from_secs(3),
            alive_count: 2,
            connects: 50,
            connects_per_bastion: 8,
            execs_per_session: 8,
        }
    }
}
