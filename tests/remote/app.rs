//! An app server: this test binary once more, with a release as its working directory.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Says that this process is to be an app; its value is what `/release` tells.
const ASKED: &str = "SHIPIT_TEST_APP";

/// A running app; it ends when it is dropped.
pub struct App(Child);

impl App {
    /// An app that works in `directory` and takes its connections from `listener`.
    pub fn start(directory: &Path, listener: &TcpListener) -> Self {
        Self::spawn(Command::new(std::env::current_exe().unwrap()), directory, listener)
    }

    /// The same from an executable at `executable`, which works elsewhere.
    pub fn start_executable(executable: &Path, listener: &TcpListener) -> Self {
        std::fs::copy(std::env::current_exe().unwrap(), executable).unwrap();
        Self::spawn(Command::new(executable), Path::new("/"), listener)
    }

    fn spawn(mut command: Command, directory: &Path, listener: &TcpListener) -> Self {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        command
            .args(["--exact", "app::serves_when_asked", "--nocapture", "-q"])
            .env(ASKED, name)
            .current_dir(directory);
        // Std's sockets are not inherited, but standard input is.
        let socket = OwnedFd::from(listener.try_clone().unwrap());
        let child = command.stdin(socket).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // It is another program, and in its place, from here on.
        let exe = |pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        while exe(child.id())
            != Command::get_program(&command).to_str().and_then(|path| Path::new(path).canonicalize().ok())
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        Self(child)
    }
}

impl App {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of this machine that somebody listens on.
pub fn listen(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A second listener on the port of the first; both must be from here.
pub fn listen_together(port: u16) -> (TcpListener, u16) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let listener = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        let listener = socket.listen(64).unwrap().into_std().unwrap();
        listener.set_nonblocking(false).unwrap();
        listener
    });
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Not a test, but the app itself.
#[test]
fn serves_when_asked() {
    let Ok(name) = std::env::var(ASKED) else { return };
    let listener = TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    serve(&listener, &name);
}

/// Answers by what the path asks for: `/say/503`, `/slow/3000` (milliseconds), `/first/2` (so many answers 500, then 200),
/// `/release` (in a header and in the body), `/cut` (less than was promised), `/file/PATH`, `/secret/VALUE` (500 if the value is
/// in an argument of any process).
pub fn serve(listener: &TcpListener, name: &str) {
    static ANSWERS: AtomicUsize = AtomicUsize::new(0);
    for stream in listener.incoming() {
        let (Ok(mut stream), name) = (stream, name.to_owned()) else { continue };
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let path = path.split('?').next().unwrap_or_default().to_owned();
            let _ = lines.find(String::is_empty);
            let (verb, value) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
            let number: usize = value.parse().unwrap_or_default();
            let mut body = name.clone().into_bytes();
            let mut promised = None;
            let status = match verb {
                "say" => number,
                "first" if ANSWERS.fetch_add(1, SeqCst) < number => 500,
                "slow" => {
                    std::thread::sleep(Duration::from_millis(number as u64));
                    200
                }
                "secret" if is_argument(value) => 500,
                "cut" => {
                    promised = Some(1000);
                    200
                }
                "file" => {
                    body = std::fs::read(format!("/{value}")).unwrap();
                    200
                }
                _ => 200,
            };
            let length = promised.unwrap_or(body.len());
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nx-RELEASE: v {name} of it\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        });
    }
}

fn is_argument(value: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut arguments = processes.filter_map(|one| std::fs::read_to_string(one.path().join("cmdline")).ok());
    arguments.any(|line| line.contains(value))
}
