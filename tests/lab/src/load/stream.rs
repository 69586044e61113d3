//! A stream, held open: events of a server, or a websocket. What becomes of it is told apart from what becomes of requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::loss::{LossKind, Lost};
use super::tally::Tally;

/// The app sends five events a second.
const SILENCE: Duration = Duration::from_secs(10);

/// A client whose stream ended waits so long before it asks for another one, as browsers do.
const RETRY: Duration = Duration::from_millis(200);

const CLASS: &str = "GET, stream";

/// What is held open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An answer without end.
    Events,
    /// A connection that is no HTTP any more after its first answer.
    WebSocket,
}

impl Kind {
    /// Of the n-th client: they take turns.
    pub fn of(number: usize) -> Self {
        if number.is_multiple_of(2) { Self::Events } else { Self::WebSocket }
    }

    fn request(self) -> &'static [u8] {
        match self {
            Self::Events => b"GET /sse HTTP/1.1\r\nhost: lab\r\n\r\n",
            Self::WebSocket => {
                b"GET /ws HTTP/1.1\r\nhost: lab\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                  sec-websocket-version: 13\r\nsec-websocket-key: bGFiLWxhYi1sYWItbGFiIQ==\r\n\r\n"
            }
        }
    }

    /// What is in each event.
    fn sign(self) -> &'static [u8] {
        match self {
            Self::Events => b"data:",
            Self::WebSocket => b"\x81\x04beat",
        }
    }
}

/// Holds a stream open until told to stop; one that ends is counted and opened anew. One that can't be opened is a loss.
pub async fn hold(target: SocketAddr, kind: Kind, tally: Arc<Tally>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let began = Instant::now();
        tokio::select! {
            outcome = one(target, kind, &tally) => {
                if let Err(lost) = outcome {
                    tally.lost(CLASS, began, lost, "none");
                }
            }
            _ = stopping.changed() => return,
        }
        sleep(RETRY).await;
    }
}

async fn one(target: SocketAddr, kind: Kind, tally: &Tally) -> Result<(), Lost> {
    let lost = |error: &dyn ToString| Lost::new(LossKind::Connect, error);
    let mut stream = TcpStream::connect(target).await.map_err(|error| lost(&error))?;
    stream.write_all(kind.request()).await.map_err(|error| lost(&error))?;
    let mut seen = Vec::new();
    let mut opened = false;
    let mut chunk = [0; 4096];
    loop {
        let read = timeout(SILENCE, stream.read(&mut chunk)).await;
        match read {
            Ok(Ok(count)) if count > 0 && !opened => {
                seen.extend_from_slice(&chunk[..count]);
                if seen.windows(kind.sign().len()).any(|window| window == kind.sign()) {
                    opened = true;
                    tally.stream_opened();
                } else if seen.starts_with(b"HTTP/1.1 5") {
                    return Err(Lost::new(LossKind::ServerError, &String::from_utf8_lossy(&seen)));
                }
            }
            Ok(Ok(count)) if count > 0 => {}
            Err(_) if !opened => return Err(Lost::new(LossKind::Timeout, &"no event came")),
            _ if !opened => return Err(Lost::new(LossKind::Closed, &"before the first event")),
            _ => {
                tally.stream_ended();
                return Ok(());
            }
        }
    }
}
