//! Clients that ask without pause and count every loss. They never try twice.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    sent: AtomicUsize,
    lost: Mutex<Vec<String>>,
}

impl Load {
    /// Two clients with a connection for each request, and one that keeps its connection as long as the server wants, and posts.
    pub fn start(port: u16) -> Self {
        let shared = Arc::<Shared>::default();
        let heads = ["GET /work HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"; 2];
        let upload = "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
        let clients = heads.into_iter().chain([upload]).map(|head| {
            let shared = shared.clone();
            thread::spawn(move || client(&shared, port, head))
        });
        let load = Self { clients: clients.collect(), shared };
        load.more(20);
        load
    }

    /// Waits for so many more requests.
    pub fn more(&self, count: usize) {
        let until = self.shared.sent.load(SeqCst) + count;
        crate::rig::eventually("more requests are answered", || self.shared.sent.load(SeqCst) >= until);
    }

    /// Ends it. Nothing may be lost.
    pub fn end(self) -> usize {
        self.shared.over.store(true, SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
        let lost = self.shared.lost.lock().unwrap();
        let sent = self.shared.sent.load(SeqCst);
        assert!(lost.is_empty(), "{} of {sent} lost: {lost:?}", lost.len());
        sent
    }
}

fn client(shared: &Shared, port: u16, head: &str) {
    let mut kept = None;
    while !shared.over.load(SeqCst) {
        if let Err(why) = request(port, head, &mut kept) {
            shared.lost.lock().unwrap().push(why);
            kept = None;
        }
        shared.sent.fetch_add(1, SeqCst);
        thread::sleep(Duration::from_millis(2));
    }
}

/// One request, on the kept connection if there is one.
pub fn request(port: u16, head: &str, kept: &mut Option<TcpStream>) -> Result<(), String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let fresh = || TcpStream::connect_timeout(&address, Duration::from_secs(5));
    let mut conn = kept.take().map_or_else(fresh, Ok).map_err(|error| format!("connect: {error}"))?;
    conn.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    conn.write_all(head.as_bytes()).map_err(|error| format!("write: {error}"))?;
    let mut text = Vec::new();
    while !text.ends_with(b"good") {
        let mut piece = [0; 1024];
        match conn.read(&mut piece) {
            Ok(0) => return Err(format!("closed after {:?}", String::from_utf8_lossy(&text))),
            Ok(count) => text.extend_from_slice(&piece[..count]),
            Err(error) => return Err(format!("read: {error}")),
        }
    }
    let text = String::from_utf8_lossy(&text);
    if !text.starts_with("HTTP/1.1 200") {
        return Err(text.lines().next().unwrap_or_default().to_owned());
    }
    *kept = (!text.contains("Connection: close")).then_some(conn);
    Ok(())
}
