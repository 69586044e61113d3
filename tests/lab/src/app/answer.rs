//! What the app answers.

use std::convert::Infallible;
use std::future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::sleep;

use super::{Behaviour, Health, checksum};

/// Time between two events of a stream; short, so that a test sees quickly whether a stream still lives.
const EVENT_EVERY: Duration = Duration::from_millis(200);

/// What proves to haproxy, which insists on it, that the server has seen the key of the load's clients: RFC 6455's hash of it.
const ACCEPT: &str = "nDPgbti2EobiU0yYLqX/7jFNMTE=";

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// One running release of the app.
pub struct App {
    /// How it behaves.
    pub behaviour: Behaviour,
    /// The release's name: that of the directory that the process runs in.
    pub release: String,
    /// What the release's file `version` said when the app booted.
    pub version: String,
    /// How many more requests are slow.
    still_cold: AtomicU32,
}

impl App {
    /// A freshly booted app.
    pub fn new(behaviour: Behaviour, release: String, version: String) -> Self {
        let still_cold = AtomicU32::new(behaviour.cold_requests);
        Self { behaviour, release, version, still_cold }
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
        let (status, body) = match request.uri().path() {
            "/health" => (self.health().await, text(format!("{}\n", self.release))),
            "/version" => (200, text(self.version.clone())),
            "/sse" => (self.behaviour.answer, events()),
            "/ws" => return Ok(self.upgraded(request)),
            path => {
                let pause = if path == "/slow" { milliseconds(&request) } else { Duration::ZERO };
                let body = self.page(request).await?;
                sleep(pause + self.warmth()).await;
                (self.behaviour.answer, body)
            }
        };
        Ok(self.dressed(status, body))
    }

    /// The answer after which the connection is a websocket.
    fn upgraded(&self, request: Request<Incoming>) -> Response<Body> {
        let mut response = self.dressed(101, text(String::new()));
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(ACCEPT));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        tokio::spawn(async move {
            if let Ok(upgraded) = hyper::upgrade::on(request).await {
                beat(TokioIo::new(upgraded)).await;
            }
        });
        response
    }

    async fn health(&self) -> u16 {
        match self.behaviour.health {
            Health::Status(status) => status,
            Health::Never => future::pending().await,
        }
    }

    async fn page(&self, request: Request<Incoming>) -> Result<Body, hyper::Error> {
        if request.method() == Method::POST {
            let received = request.into_body().collect().await?.to_bytes();
            return Ok(text(format!("{} {:016x}\n", received.len(), checksum(&received))));
        }
        Ok(text(format!("release {}\n", self.release)))
    }

    /// The first requests after a boot fill caches and open connections.
    fn warmth(&self) -> Duration {
        let taken = self.still_cold.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if taken.is_ok() { self.behaviour.cold } else { Duration::ZERO }
    }

    fn dressed(&self, status: u16, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        // A release's name is a directory's; one that no header can carry is left out.
        if let Ok(release) = self.release.parse() {
            headers.insert("x-release", release);
        }
        headers.insert("x-pid", std::process::id().into());
        // Without this nginx would keep the events of a stream to itself.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

fn milliseconds(request: &Request<Incoming>) -> Duration {
    let query = request.uri().query().unwrap_or_default();
    let value = query.split('&').find_map(|pair| pair.strip_prefix("ms="));
    Duration::from_millis(value.and_then(|digits| digits.parse().ok()).unwrap_or(2000))
}

fn text(text: String) -> Body {
    Full::from(text).boxed_unsync()
}

/// Sends a text frame of a websocket again and again, as long as somebody takes it.
async fn beat(mut socket: impl AsyncWrite + Unpin) {
    while socket.write_all(b"\x81\x04beat").await.is_ok() && socket.flush().await.is_ok() {
        sleep(EVENT_EVERY).await;
    }
}

fn events() -> Body {
    let numbers = futures_util::stream::unfold(0_u64, |number| async move {
        sleep(EVENT_EVERY).await;
        Some((Ok(Frame::data(Bytes::from(format!("data: {number}\n\n")))), number + 1))
    });
    StreamBody::new(numbers).boxed_unsync()
}
