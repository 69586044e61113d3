//! The runtime socket of haproxy on a host, and the ways to it.
//!
//! The best way is a forward of the socket: then the host runs nothing, and a poll costs a round trip. Where sshd does
//! not allow that, or the login may not open the socket, a program on the host carries the commands (`ask.sh`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::{Instant, sleep, timeout};

use crate::model::clean;
use crate::transport::{ExecError, Progress, Script, Session};

/// The script that asks a socket on its own host; its variables are in its first lines.
pub const ASK: &str = include_str!("scripts/ask.sh");
const LEAVING: &str = include_str!("scripts/leaving.sh");

/// haproxy answers from memory within milliseconds; what takes longer than this is not going to come.
const ANSWER: Duration = Duration::from_secs(5);

/// An exec adds a shell and an interpreter to [`ANSWER`].
const EXEC: Duration = Duration::from_secs(10);

/// The search for a way tries six programs at most, each for [`ANSWER`].
const SEARCH: Duration = Duration::from_secs(40);

/// A reload leaves the socket without a listener for a moment; measured, it was far below a second.
const RELOAD: Duration = Duration::from_secs(2);

/// The pause before asking again during such a moment.
const AGAIN: Duration = Duration::from_millis(50);

/// The most that is read of an answer: `show stat` of a backend with five thousand servers.
const LONGEST: u64 = 4 << 20;

/// The exit code of `ask.sh` when there is no way.
const NO_WAY: i32 = 69;

/// The socket at one path on one host.
pub struct Socket<S> {
    session: Arc<S>,
    path: String,
    way: OnceCell<Way>,
}

/// How commands get to the socket.
enum Way {
    /// Through a local socket that ssh forwards; another one after the connection was lost and made again.
    Forward(Mutex<PathBuf>),
    /// By a program on the host; the word is `ask.sh`'s.
    Exec(String),
}

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SocketError {
    /// What was tried, and what came of it.
    pub what: String,
    /// The way out.
    pub help: Option<String>,
}

impl<S: Session> Socket<S> {
    /// The socket at `path` on the host of `session`. Nothing is opened yet.
    pub fn new(session: Arc<S>, path: String) -> Self {
        Self { session, path, way: OnceCell::new() }
    }

    /// The session to the host.
    pub fn session(&self) -> Arc<S> {
        self.session.clone()
    }

    /// Sends `commands`, joined by `;`, on one connection, and returns all that is answered.
    ///
    /// May send them twice, when haproxy is being reloaded: all that shipit sends is idempotent.
    pub async fn ask(&self, commands: &str) -> Result<String, SocketError> {
        let way = self.way.get_or_try_init(|| self.find()).await?;
        let began = Instant::now();
        loop {
            match self.by(way, commands).await {
                Ok(answer) => return Ok(answer),
                Err(_) if began.elapsed() < RELOAD => sleep(AGAIN).await,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The haproxy processes on the host that are on their way out: those of `old` that are left, and the siblings of
    /// the worker `pid`. `None` if the host does not let us see them.
    pub async fn leaving(&self, pid: u32, old: &[u32]) -> Result<Option<Vec<u32>>, SocketError> {
        let old: Vec<String> = old.iter().map(u32::to_string).collect();
        let script = Script::new(LEAVING).with("PID", pid.to_string()).with("OLD", old.join(" "));
        let out = self.exec(&script, EXEC).await?;
        if out.lines().any(|line| line == "blind") {
            return Ok(None);
        }
        Ok(Some(out.lines().filter_map(|line| line.parse().ok()).collect()))
    }

    /// Finds a way by which `show info` is answered.
    async fn find(&self) -> Result<Way, SocketError> {
        let forwarded = match timeout(ANSWER, self.session.forward(&self.path)).await {
            Ok(Ok(local)) => match exchange(&local, "show info").await {
                Ok(answer) if answer.contains("Version: ") => return Ok(Way::Forward(Mutex::new(local))),
                Ok(_) => "not haproxy's runtime socket".to_owned(),
                Err(fault) => fault.to_string(),
            },
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => ExecError::TimedOut(ANSWER).to_string(),
        };
        match self.carry("", "show info").await {
            Ok((way, _)) => Ok(Way::Exec(way)),
            Err(fault) => Err(SocketError { what: format!("{}; forward: {}", fault.what, clean(&forwarded)), ..fault }),
        }
    }

    async fn by(&self, way: &Way, commands: &str) -> Result<String, SocketError> {
        let answer = match way {
            Way::Forward(local) => self.through(local, commands).await?,
            Way::Exec(program) => self.carry(program, commands).await?.1,
        };
        // Even a success without words is an empty line.
        if answer.is_empty() {
            return Err(SocketError { what: "the connection was closed without an answer".to_owned(), help: None });
        }
        Ok(answer)
    }

    /// Sends `commands` through the forward. If it ended with its connection, asks for another one, for the next try.
    async fn through(&self, local: &Mutex<PathBuf>, commands: &str) -> Result<String, SocketError> {
        let path = local.lock().await.clone();
        let fault = match exchange(&path, commands).await {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        if matches!(fault.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) {
            let mut local = local.lock().await;
            if *local == path
                && let Ok(Ok(again)) = timeout(ANSWER, self.session.forward(&self.path)).await
            {
                *local = again;
            }
        }
        Err(SocketError { what: clean(&fault.to_string()), help: None })
    }

    /// Has `program` on the host carry `commands`, or any program if it is empty. Returns its name and the answer.
    async fn carry(&self, program: &str, commands: &str) -> Result<(String, String), SocketError> {
        let script = Script::new(ASK).with("SOCKET", &self.path).with("WAY", program).with("COMMANDS", commands);
        let out = self.exec(&script, if program.is_empty() { SEARCH } else { EXEC }).await?;
        let (way, answer) = out.split_once('\n').unwrap_or((&out, ""));
        Ok((way.to_owned(), answer.to_owned()))
    }

    async fn exec(&self, script: &Script, limit: Duration) -> Result<String, SocketError> {
        let out = match timeout(limit, self.session.run(script, limit, &Progress::unheard())).await {
            Ok(Ok(out)) => out,
            Ok(Err(fault)) => return Err(SocketError { what: clean(&fault.to_string()), help: None }),
            Err(_) => return Err(SocketError { what: ExecError::TimedOut(limit).to_string(), help: None }),
        };
        let said = out.stderr.lines().map(clean).collect::<Vec<_>>().join("; ");
        match out.code {
            0 => Ok(out.stdout),
            NO_WAY => Err(SocketError {
                what: format!("no way to `{}` works: {said}", clean(&self.path)),
                help: Some(
                    "see that the path is right and haproxy runs; then put the login into the socket's group (Debian: \
                     `haproxy`) and leave sshd's `AllowStreamLocalForwarding` on, or install socat there, or allow it by sudo"
                        .to_owned(),
                ),
            }),
            code => Err(SocketError { what: format!("asking on the host ended with code {code}: {said}"), help: None }),
        }
    }
}

/// Sends `commands` on a new connection to the socket at `path` and reads until the other end closes.
async fn exchange(path: &Path, commands: &str) -> std::io::Result<String> {
    let whole = async {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(format!("{commands}\n").as_bytes()).await?;
        // The master's socket waits for more commands until it is told that there are none.
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    timeout(ANSWER, whole).await.unwrap_or_else(|_| Err(std::io::Error::other(ExecError::TimedOut(ANSWER))))
}
