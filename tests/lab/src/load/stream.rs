//! A stream of events, held open: what becomes of it is told apart from what becomes of requests.

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

/// Holds a stream open until told to stop; one that ends is counted and opened anew. One that can't be opened is a loss.
pub async fn hold(target: SocketAddr, tally: Arc<Tally>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let began = Instant::now();
        tokio::select! {
            outcome = one(target, &tally) => {
                if let Err(lost) = outcome {
                    tally.lost(CLASS, began, lost, "none");
                }
            }
            _ = stopping.changed() => return,
        }
        sleep(RETRY).await;
    }
}

async fn one(target: SocketAddr, tally: &Tally) -> Result<(), Lost> {
    let lost = |error: &dyn ToString| Lost::new(LossKind::Connect, error);
    let mut stream = TcpStream::connect(target).await.map_err(|error| lost(&error))?;
    let request = b"GET /sse HTTP/1.1\r\nhost: lab\r\n\r\n";
    stream.write_all(request).await.map_err(|error| lost(&error))?;
    let mut seen = Vec::new();
    let mut opened = false;
    let mut chunk = [0; 4096];
    loop {
        let read = timeout(SILENCE, stream.read(&mut chunk)).await;
        match read {
            Ok(Ok(count)) if count > 0 && !opened => {
                seen.extend_from_slice(&chunk[..count]);
                if seen.windows(5).any(|window| window == b"data:") {
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
