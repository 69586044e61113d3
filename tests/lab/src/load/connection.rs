//! One HTTP/1.1 connection of a client, and what a request on it comes to.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::loss::{LossKind, Lost};

/// The answer to a request.
pub struct Answer {
    /// The release that says it answered.
    pub release: String,
    /// The body.
    pub body: Bytes,
}

/// An open connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Connects.
    pub async fn open(target: SocketAddr) -> Result<Self, Lost> {
        let lost = |error: &dyn ToString| Lost::new(LossKind::Connect, error);
        let stream = TcpStream::connect(target).await.map_err(|error| lost(&error))?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(&error))?;
        // What breaks the connection is told to the request that waits on it; an idle one breaks for nobody.
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    /// Whether it can take a request: the server may close an idle connection at any time, and that is no loss.
    pub async fn is_usable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends a request; `Ok(None)` if the server had closed the idle connection and not a byte of it was written.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Option<Answer>, Lost> {
        match self.sender.try_send_request(request).await {
            Ok(response) => read(response).await.map(Some),
            Err(mut failed) => match failed.take_message() {
                Some(_unsent) => Ok(None),
                None => Err(Lost::broken(&failed.into_error())),
            },
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, Lost> {
    let status = response.status();
    let release = response.headers().get("x-release").and_then(|value| value.to_str().ok());
    let release = release.unwrap_or("none").to_owned();
    let body = response.into_body().collect().await;
    let lost = |kind, detail| Lost { kind, detail, release: Some(release.clone()) };
    if status.is_server_error() {
        return Err(lost(LossKind::ServerError, status.to_string()));
    }
    if status != 200 {
        return Err(lost(LossKind::OtherStatus, status.to_string()));
    }
    match body {
        Ok(body) => Ok(Answer { release, body: body.to_bytes() }),
        Err(error) => Err(lost(LossKind::WrongBody, error.to_string())),
    }
}
