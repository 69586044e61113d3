//! One client: a loop of request, check, pause.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Mix;
use super::connection::{Answer, Connection};
use super::loss::{LossKind, Lost};
use super::tally::Tally;
use crate::app::checksum;

/// Far above every legal answer here, so that what takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Larger than a segment and than nginx's and haproxy's smallest buffers.
const POST_BYTES: usize = 20_000;

/// A class of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// GETs on a connection that stays open.
    KeepAlive,
    /// A connection for each GET.
    OneShot,
    /// POSTs on a connection that stays open.
    Post,
    /// GETs that take long.
    Slow,
}

impl Class {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "GET, keep-alive",
            Self::OneShot => "GET, one a connection",
            Self::Post => "POST, keep-alive",
            Self::Slow => "GET, slow",
        }
    }
}

/// One client.
pub struct Client {
    number: usize,
    class: Class,
    path: String,
    think: Duration,
    targets: Arc<[SocketAddr]>,
    tally: Arc<Tally>,
    connection: Option<Connection>,
    sent: usize,
    last_release: String,
}

impl Client {
    /// The client of this number.
    pub fn new(number: usize, class: Class, mix: &Mix, targets: Arc<[SocketAddr]>, tally: Arc<Tally>) -> Self {
        let (path, think) = match class {
            Class::Slow => (format!("/slow?ms={}", mix.slow_for.as_millis()), Duration::ZERO),
            _ => ("/".to_owned(), mix.think),
        };
        let last_release = "none".to_owned();
        Self { number, class, path, think, targets, tally, connection: None, sent: 0, last_release }
    }

    /// Sends requests one after the other until told to stop; the one in flight is finished.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            let began = Instant::now();
            let outcome = timeout(TIMEOUT, self.request())
                .await
                .unwrap_or_else(|_| Err(Lost::new(LossKind::Timeout, &format!("after {TIMEOUT:?}"))));
            self.account(began, outcome);
            tokio::select! {
                () = sleep(self.pause()) => {}
                // An error means that nobody is left to stop it, which is a reason to stop.
                _ = stopping.changed() => {}
            }
        }
    }

    fn account(&mut self, began: Instant, outcome: Result<Answer, Lost>) {
        self.sent += 1;
        match outcome {
            Ok(answer) => {
                self.tally.answered(self.class.name(), began, &answer.release);
                self.last_release = answer.release;
            }
            Err(lost) => {
                self.connection = None;
                self.tally.lost(self.class.name(), began, lost, &self.last_release);
            }
        }
    }

    async fn request(&mut self) -> Result<Answer, Lost> {
        let body = self.body();
        if let Some(answer) = self.send_on_kept(&body).await? {
            return self.check(&body, answer);
        }
        let mut connection = Connection::open(self.target()).await?;
        let Some(answer) = connection.send(self.build(body.clone())?).await? else {
            return Err(Lost::new(LossKind::Closed, &"a new connection was closed before the request"));
        };
        if matches!(self.class, Class::KeepAlive | Class::Post) {
            self.connection = Some(connection);
        }
        self.check(&body, answer)
    }

    /// Sends on the connection kept from the last request; nothing if there is none, or if the server closed it while it
    /// was idle and not a byte was written: any client then opens another one, and nothing is lost.
    async fn send_on_kept(&mut self, body: &Bytes) -> Result<Option<Answer>, Lost> {
        let Some(mut connection) = self.connection.take() else {
            return Ok(None);
        };
        if !connection.is_usable().await {
            return Ok(None);
        }
        let answer = connection.send(self.build(body.clone())?).await?;
        if answer.is_some() {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// Clients that keep a connection keep to one balancer; the others go round.
    fn target(&self) -> SocketAddr {
        let turn = match self.class {
            Class::KeepAlive | Class::Post => self.number,
            Class::OneShot | Class::Slow => self.number + self.sent,
        };
        self.targets[turn % self.targets.len()]
    }

    fn build(&self, body: Bytes) -> Result<Request<Full<Bytes>>, Lost> {
        let method = if self.class == Class::Post { Method::POST } else { Method::GET };
        let mut request = Request::builder().method(method).uri(&self.path).header("host", "lab");
        if self.class == Class::OneShot {
            request = request.header("connection", "close");
        }
        request.body(Full::new(body)).map_err(|error| Lost::new(LossKind::Connect, &error))
    }

    /// A different body each time, so that an answer to another request is noticed.
    fn body(&self) -> Bytes {
        if self.class != Class::Post {
            return Bytes::new();
        }
        let seed = format!("client {} request {} ", self.number, self.sent);
        seed.bytes().cycle().take(POST_BYTES).collect()
    }

    fn check(&self, sent: &[u8], answer: Answer) -> Result<Answer, Lost> {
        let expected = match self.class {
            Class::Post => format!("{} {:016x}\n", sent.len(), checksum(sent)),
            _ => format!("release {}\n", answer.release),
        };
        if answer.body == expected {
            return Ok(answer);
        }
        let detail = format!("{:?} instead of {expected:?}", String::from_utf8_lossy(&answer.body));
        Err(Lost { kind: LossKind::WrongBody, detail, release: Some(answer.release) })
    }

    /// Half to one and a half times the think time, by the client's own count: the clients must not fall into step.
    fn pause(&self) -> Duration {
        let spread = u32::try_from((self.number * 7 + self.sent * 13) % 11).unwrap_or_default();
        self.think / 2 + self.think * spread / 10
    }
}
