//! The load client: sends requests without pause, never repeats one, and counts every kind of loss.
//!
//! Its classes of clients are those that lose requests in practice: connections kept open, connections for one request,
//! bodies that a proxy must not send twice, and slow answers that are in flight whatever moment a deploy picks.

mod client;
mod connection;
mod loss;
mod report;
mod stream;
mod tally;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use client::{Class, Client};
use tally::Tally;

pub use loss::{Loss, LossKind};
pub use report::{ClassReport, Report, StreamReport};

/// How much of each class there is, and how long a slow request takes.
#[derive(Debug, Clone)]
pub struct Mix {
    /// Clients that send GETs on a connection that they keep.
    pub keep_alive: usize,
    /// Clients that open a connection for each GET.
    pub one_shot: usize,
    /// Clients that POST a body on a connection that they keep, and check what came back.
    pub post: usize,
    /// Clients that always wait for a slow answer.
    pub slow: usize,
    /// Clients that hold a stream open, every other one a websocket. One that ends is no loss: whether it may end is the recipe's business.
    pub streams: usize,
    /// How long a slow answer takes.
    pub slow_for: Duration,
    /// The pause of the quick clients between two requests.
    pub think: Duration,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            keep_alive: 8,
            one_shot: 4,
            post: 4,
            slow: 4,
            streams: 0,
            slow_for: Duration::from_secs(2),
            think: Duration::from_millis(25),
        }
    }
}

impl Mix {
    /// A few requests a second: enough to notice a loss, too few to slow a measurement.
    #[must_use]
    pub fn light() -> Self {
        Self { keep_alive: 2, one_shot: 1, post: 1, slow: 0, think: Duration::from_millis(100), ..Self::default() }
    }

    fn classes(&self) -> Vec<Class> {
        let of = |class, clients| std::iter::repeat_n(class, clients);
        of(Class::KeepAlive, self.keep_alive)
            .chain(of(Class::OneShot, self.one_shot))
            .chain(of(Class::Post, self.post))
            .chain(of(Class::Slow, self.slow))
            .collect()
    }
}

/// A load that runs until it is stopped; dropping it stops it, too.
pub struct Load {
    stop: watch::Sender<bool>,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<Report>>,
}

impl Load {
    /// Starts the usual mix against all targets.
    pub fn start(targets: Vec<SocketAddr>) -> Result<Self> {
        Self::start_mix(targets, Mix::default())
    }

    /// Starts a mix of clients, spread over the targets.
    ///
    /// It runs on a thread of its own, so that it keeps its pace whatever the caller is doing.
    pub fn start_mix(targets: Vec<SocketAddr>, mix: Mix) -> Result<Self> {
        if targets.is_empty() {
            return Err(Error::Refused("a load needs at least one target".into()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::program("tokio"))?;
        let (stop, stopping) = watch::channel(false);
        let tally = Arc::new(Tally::start());
        let theirs = tally.clone();
        let thread = thread::spawn(move || runtime.block_on(run(targets.into(), mix, theirs, stopping)));
        Ok(Self { stop, tally, thread: Some(thread) })
    }

    /// How many requests have been answered or lost so far, and how many of them were lost.
    #[must_use]
    pub fn so_far(&self) -> (usize, usize) {
        self.tally.so_far()
    }

    /// What has become of streams so far.
    #[must_use]
    pub fn streams(&self) -> StreamReport {
        self.tally.streams()
    }

    /// Stops sending, lets what is in flight finish, and reports.
    pub fn stop(mut self) -> Result<Report> {
        self.end().ok_or_else(|| Error::Failed("the load client broke down: see its panic above".into()))
    }

    fn end(&mut self) -> Option<Report> {
        let _ = self.stop.send(true);
        self.thread.take()?.join().ok()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

async fn run(targets: Arc<[SocketAddr]>, mix: Mix, tally: Arc<Tally>, stopping: watch::Receiver<bool>) -> Report {
    let mut clients = JoinSet::new();
    for (number, class) in mix.classes().into_iter().enumerate() {
        let client = Client::new(number, class, &mix, targets.clone(), tally.clone());
        clients.spawn(client.run(stopping.clone()));
    }
    for number in 0..mix.streams {
        clients.spawn(stream::hold(
            targets[number % targets.len()],
            stream::Kind::of(number),
            tally.clone(),
            stopping.clone(),
        ));
    }
    while clients.join_next().await.is_some() {}
    tally.report()
}
