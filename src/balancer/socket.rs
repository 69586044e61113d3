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

/// A line that is dead is noticed after 9 s or so ([`crate::transport::Limits::alive_count`]) and made anew; whoever has sent something into
/// it waits for that.
const DEAD_LINE: Duration = Duration::from_secs(12);

/// An exec adds a shell and an interpreter to [`ANSWER`], or to what [`DEAD_LINE`] is for.
const EXEC: Duration = Duration::from_secs(15);

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

/// What became of one try.
enum Fault {
    /// The line broke. There may be another one by now.
    Broken(SocketError),
    /// Anything else.
    Final(SocketError),
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
    /// May send them twice, when haproxy is being reloaded or the line breaks: all that shipit sends is idempotent.
    pub async fn ask(&self, commands: &str) -> Result<String, SocketError> {
        let way = self.way.get_or_try_init(|| self.find()).await?;
        let mut began = Instant::now();
        let mut broke = false;
        loop {
            match self.by(way, commands).await {
                Ok(answer) => return Ok(answer),
                // It may have been dead for long before that was noticed.
                Err(Fault::Broken(_)) if !broke => (broke, began) = (true, Instant::now()),
                Err(_) if began.elapsed() < RELOAD => {}
                Err(Fault::Broken(error) | Fault::Final(error)) => return Err(error),
            }
            sleep(AGAIN).await;
        }
    }

    /// The haproxy processes on the host that are on their way out: those of `old` that are left, and the siblings of
    /// the worker `pid`. `None` if the host does not let us see them.
    pub async fn leaving(&self, pid: u32, old: &[u32]) -> Result<Option<Vec<u32>>, SocketError> {
        let old: Vec<String> = old.iter().map(u32::to_string).collect();
        let script = Script::new(LEAVING).with("PID", pid.to_string()).with("OLD", old.join(" "));
        let out = self.exec(&script, EXEC).await.map_err(SocketError::from)?;
        if out.lines().any(|line| line == "blind") {
            return Ok(None);
        }
        Ok(Some(out.lines().filter_map(|line| line.parse().ok()).collect()))
    }

    /// Finds a way by which `show info` is answered.
    async fn find(&self) -> Result<Way, SocketError> {
        let forwarded = match self.forward().await {
            Err(Fault::Broken(_)) => self.forward().await,
            answer => answer,
        };
        let forwarded = match forwarded {
            Ok(local) => return Ok(Way::Forward(Mutex::new(local))),
            Err(fault) => SocketError::from(fault).what,
        };
        match self.carry("", "show info").await.map_err(SocketError::from) {
            Ok((way, _)) => Ok(Way::Exec(way)),
            Err(fault) => Err(SocketError { what: format!("{}; forward: {forwarded}", fault.what), ..fault }),
        }
    }

    /// A forward of the socket, on which haproxy answers.
    async fn forward(&self) -> Result<PathBuf, Fault> {
        let local = match timeout(ANSWER, self.session.forward(&self.path)).await {
            Ok(Ok(local)) => local,
            Ok(Err(fault)) => return Err(Fault::of_exec(&fault)),
            Err(_) => return Err(Fault::of_exec(&ExecError::TimedOut(ANSWER))),
        };
        match exchange(&local, "show info").await {
            Ok(answer) if answer.contains("Version: ") => Ok(local),
            Ok(answer) if answer.is_empty() => Err(Fault::of_silence()),
            Ok(_) => Err(Fault::of_words("not haproxy's runtime socket")),
            Err(error) => Err(Fault::of_io(&error)),
        }
    }

    async fn by(&self, way: &Way, commands: &str) -> Result<String, Fault> {
        let answer = match way {
            Way::Forward(local) => self.through(local, commands).await?,
            Way::Exec(program) => self.carry(program, commands).await?.1,
        };
        // Even a success without words is an empty line.
        if answer.is_empty() {
            return Err(Fault::of_silence());
        }
        Ok(answer)
    }

    /// Sends `commands` through the forward, or through another one if it ended with its connection.
    async fn through(&self, local: &Mutex<PathBuf>, commands: &str) -> Result<String, Fault> {
        let path = local.lock().await.clone();
        let fault = match exchange(&path, commands).await {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        if !matches!(fault.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) {
            return Err(Fault::of_io(&fault));
        }
        let again = {
            let mut local = local.lock().await;
            if *local == path {
                // Where no other connection can be made, a third try would only take as long again.
                let made = timeout(DEAD_LINE, self.session.forward(&self.path)).await;
                *local = made
                    .unwrap_or(Err(ExecError::TimedOut(DEAD_LINE)))
                    .map_err(|fault| Fault::of_words(&fault.to_string()))?;
            }
            local.clone()
        };
        exchange(&again, commands).await.map_err(|fault| Fault::of_io(&fault))
    }

    /// Has `program` on the host carry `commands`, or any program if it is empty. Returns its name and the answer.
    async fn carry(&self, program: &str, commands: &str) -> Result<(String, String), Fault> {
        let script = Script::new(ASK).with("SOCKET", &self.path).with("WAY", program).with("COMMANDS", commands);
        let out = self.exec(&script, if program.is_empty() { SEARCH } else { EXEC }).await?;
        let (way, answer) = out.split_once('\n').unwrap_or((&out, ""));
        Ok((way.to_owned(), answer.to_owned()))
    }

    async fn exec(&self, script: &Script, limit: Duration) -> Result<String, Fault> {
        let out = match timeout(limit, self.session.run(script, limit, &Progress::unheard())).await {
            Ok(Ok(out)) => out,
            Ok(Err(fault)) => return Err(Fault::of_exec(&fault)),
            Err(_) => return Err(Fault::of_exec(&ExecError::TimedOut(limit))),
        };
        let said = out.stderr.lines().map(clean).collect::<Vec<_>>().join("; ");
        match out.code {
            0 => Ok(out.stdout),
            NO_WAY => Err(Fault::Final(SocketError {
                what: format!("no way to `{}` works: {said}", clean(&self.path)),
                help: Some(
                    "see that the path is right and haproxy runs; then put the login into the socket's group (Debian: \
                     `haproxy`) and leave sshd's `AllowStreamLocalForwarding` on, or install socat there, or allow it by sudo"
                        .to_owned(),
                ),
            })),
            code => Err(Fault::of_words(&format!("asking on the host ended with code {code}: {said}"))),
        }
    }
}

impl Fault {
    fn of_words(what: &str) -> Self {
        Self::Final(SocketError { what: clean(what), help: None })
    }

    /// What a reload of haproxy looks like from here, and also an ssh that gives a dead line up.
    fn of_silence() -> Self {
        Self::Broken(SocketError { what: "the connection was closed without an answer".to_owned(), help: None })
    }

    fn of_exec(error: &ExecError) -> Self {
        let told = SocketError { what: clean(&error.to_string()), help: None };
        match error {
            ExecError::Lost(_) => Self::Broken(told),
            ExecError::TimedOut(_) => Self::Final(told),
        }
    }

    /// An error of the local end of a forward: ssh, when it ends, takes it away.
    fn of_io(error: &std::io::Error) -> Self {
        let told = SocketError { what: clean(&error.to_string()), help: None };
        match error.kind() {
            ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionRefused
            | ErrorKind::NotFound => Self::Broken(told),
            _ => Self::Final(told),
        }
    }
}

impl From<Fault> for SocketError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Broken(error) | Fault::Final(error) => error,
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
    timeout(DEAD_LINE, whole).await.unwrap_or_else(|_| Err(std::io::Error::other(ExecError::TimedOut(DEAD_LINE))))
}
