//! An app server of one page for each thing that a drain must cope with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The app; it ends when it is dropped.
pub struct App {
    pub port: u16,
    pub page: Arc<Page>,
    task: JoinHandle<()>,
}

/// What the app does, and has done.
pub struct Page {
    name: &'static str,
    /// What `/health` says.
    pub healthy: AtomicBool,
    /// What `/` says.
    pub status: AtomicU16,
    /// Requests that were no health checks.
    pub requests: AtomicUsize,
    /// Requests to `/hold` and `/stream` that are being answered.
    pub held: AtomicUsize,
    released: watch::Sender<bool>,
}

impl App {
    pub async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let page = Arc::new(Page {
            name,
            healthy: AtomicBool::new(true),
            status: AtomicU16::new(200),
            requests: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            released: watch::Sender::new(false),
        });
        let port = listener.local_addr().unwrap().port();
        let served = page.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let page = served.clone();
                connections.spawn(async move { page.serve(stream).await });
            }
        });
        Self { port, page, task }
    }

    /// Lets the requests to `/hold` end.
    pub fn release(&self) {
        self.page.released.send_replace(true);
    }

    pub fn requests(&self) -> usize {
        self.page.requests.load(SeqCst)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Page {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut first = String::new();
        stream.read_line(&mut first).await?;
        let mut line = first.clone();
        while !line.trim().is_empty() {
            line.clear();
            stream.read_line(&mut line).await?;
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let mut status = 200;
        if path == "/health" {
            status = if self.healthy.load(SeqCst) { 200 } else { 503 };
        } else {
            self.requests.fetch_add(1, SeqCst);
        }
        let head = format!("X-Server: {}\r\nConnection: close\r\n", self.name);
        match path {
            "/" => status = self.status.load(SeqCst),
            "/hold" => {
                self.held.fetch_add(1, SeqCst);
                let _ = self.released.subscribe().wait_for(|released| *released).await;
                self.held.fetch_sub(1, SeqCst);
            }
            "/stream" => {
                self.held.fetch_add(1, SeqCst);
                let _ = self.stream(&mut stream, &head).await;
                self.held.fetch_sub(1, SeqCst);
                return Ok(());
            }
            _ => {}
        }
        let answer = format!("HTTP/1.1 {status} X\r\n{head}Content-Length: 2\r\n\r\nok");
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    }

    /// Answers with lines without an end, as server-sent events do.
    async fn stream(&self, stream: &mut BufReader<TcpStream>, head: &str) -> std::io::Result<()> {
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes()).await?;
        loop {
            stream.write_all(b"data: still here\n\n").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
