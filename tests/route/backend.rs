//! An app of the test's own: answers at once, on request, or as a stream that does not end.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// One instance of the app.
pub struct Backend {
    pub port: u16,
    socket: Option<PathBuf>,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    stopped: AtomicBool,
    hits: AtomicUsize,
    held: AtomicUsize,
    released: Mutex<bool>,
    release: Condvar,
    open: Mutex<BTreeMap<usize, Conn>>,
}

enum Conn {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Backend {
    /// On a port that is free.
    pub fn tcp() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { port, socket: None, state: Arc::default(), acceptor: None }.started()
    }

    /// On a socket below `dir`, called by a port that stands for nothing.
    pub fn unix(dir: &Path, port: u16) -> Self {
        let socket = Some(dir.join(format!("{port}.sock")));
        Self { port, socket, state: Arc::default(), acceptor: None }.started()
    }

    fn started(mut self) -> Self {
        self.start();
        self
    }

    /// Starts it again.
    pub fn start(&mut self) {
        let state = self.state.clone();
        state.stopped.store(false, SeqCst);
        self.acceptor = Some(match &self.socket {
            None => {
                let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
                thread::spawn(move || accept(&state, || listener.accept().ok().map(|(conn, _)| Conn::Tcp(conn))))
            }
            Some(path) => {
                let _ = std::fs::remove_file(path);
                let listener = UnixListener::bind(path).unwrap();
                // nginx's workers are other users.
                std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
                thread::spawn(move || accept(&state, || listener.accept().ok().map(|(conn, _)| Conn::Unix(conn))))
            }
        });
    }

    /// Ends it as `kill -9` does: whatever is open is reset.
    pub fn kill(&mut self) {
        self.state.stopped.store(true, SeqCst);
        match &self.socket {
            None => drop(TcpStream::connect(("127.0.0.1", self.port))),
            Some(path) => drop(UnixStream::connect(path)),
        }
        self.acceptor.take().unwrap().join().unwrap();
        for conn in std::mem::take(&mut *self.state.open.lock().unwrap()).values() {
            conn.shutdown();
        }
    }

    /// Requests that came so far.
    pub fn hits(&self) -> usize {
        self.state.hits.load(SeqCst)
    }

    /// Requests to `/held` that wait now.
    pub fn held(&self) -> usize {
        self.state.held.load(SeqCst)
    }

    /// Answers requests to `/held`.
    pub fn release(&self) {
        *self.state.released.lock().unwrap() = true;
        self.state.release.notify_all();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.release();
        if self.acceptor.is_some() {
            self.kill();
        }
    }
}

fn accept(state: &Arc<State>, next: impl Fn() -> Option<Conn>) {
    for id in 0.. {
        let Some(conn) = next() else { return };
        if state.stopped.load(SeqCst) {
            conn.shutdown();
            return;
        }
        let state = state.clone();
        state.open.lock().unwrap().insert(id, conn.clone());
        thread::spawn(move || {
            let _ = match &conn {
                Conn::Tcp(conn) => serve(&state, conn, conn),
                Conn::Unix(conn) => serve(&state, conn, conn),
            };
            state.open.lock().unwrap().remove(&id);
        });
    }
}

fn serve(state: &State, read: impl Read, mut write: impl Write) -> Option<()> {
    let mut read = BufReader::new(read);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        read.read_line(&mut first).ok().filter(|read| *read > 0)?;
        loop {
            let mut header = String::new();
            read.read_line(&mut header).ok().filter(|read| *read > 0)?;
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if header.trim().is_empty() {
                break;
            }
        }
        read.read_exact(&mut vec![0; length]).ok()?;
        state.hits.fetch_add(1, SeqCst);
        let path = first.split(' ').nth(1)?;
        if path == "/stream" {
            write.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").ok()?;
            state.held.fetch_add(1, SeqCst);
            // Until the other end goes.
            let _ = read.read(&mut [0]);
            state.held.fetch_sub(1, SeqCst);
            return None;
        }
        if path == "/work" {
            // So that something is in flight whenever an instance is killed.
            thread::sleep(Duration::from_millis(20));
        }
        if path == "/held" {
            state.held.fetch_add(1, SeqCst);
            let released = state.released.lock().unwrap();
            drop(state.release.wait_while(released, |released| !*released).unwrap());
            state.held.fetch_sub(1, SeqCst);
        }
        write.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood").ok()?;
    }
}

impl Conn {
    fn shutdown(&self) {
        let _ = match self {
            Self::Tcp(conn) => conn.shutdown(Shutdown::Both),
            Self::Unix(conn) => conn.shutdown(Shutdown::Both),
        };
    }

    fn clone(&self) -> Self {
        match self {
            Self::Tcp(conn) => Self::Tcp(conn.try_clone().unwrap()),
            Self::Unix(conn) => Self::Unix(conn.try_clone().unwrap()),
        }
    }
}
