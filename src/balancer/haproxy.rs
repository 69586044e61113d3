//! One haproxy: a process on a balancer host, its socket, and those of its backends that the inventory names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::model::{
    BackendName, BalancerFacts, BalancerKey, HostName, Problem, Reach, ServerFacts, ServerName, ServerState, clean,
};
use crate::transport::Session;

use super::error::{BalancerError, Target, no_admin};
use super::socket::{Socket, SocketError};
use super::wire::{self, Info, Standing, Stat, WireError};

/// The first version whose runtime API shipit was written for; older ones are out of support since 2021.
const OLDEST: (u32, u32) = (2, 0);

/// A worker that says that it is stopping answered on a connection from before a reload; its successor answers soon.
const RELOAD: Duration = Duration::from_secs(2);

/// The bound of one look, should everything take its longest: the round that is under way, and the own one after it,
/// each with a search for a way to the socket.
const LOOK: Duration = Duration::from_mins(2);

/// One haproxy.
pub struct Haproxy<S> {
    /// The balancer host.
    pub host: HostName,
    path: String,
    socket: Option<Socket<S>>,
    backends: BTreeSet<BackendName>,
    last: Mutex<Option<Last>>,
}

/// The last look, or why there was none, and when it began.
type Last = (Instant, Result<Arc<Look>, BalancerError>);

/// What one look showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Who answered.
    pub info: Info,
    /// The level of the socket: `user`, `operator` or `admin`.
    pub level: String,
    /// The servers of each backend; a backend that haproxy does not know is not there.
    pub backends: BTreeMap<BackendName, BTreeMap<String, Server>>,
}

/// A server: what was asked of it, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// What was asked of it.
    pub standing: Standing,
    /// What it does.
    pub stat: Stat,
}

/// What makes a server ready without a look at how it does, in one line.
///
/// A server that haproxy checks has to pass its checks first: in `drain` it may have been restarted faster than they would
/// notice (measured: none of 1,388 requests lost like this, in one line and in this order; 103 of 1,342 in the other).
pub fn ready(target: &Target, checked: bool) -> String {
    let server = format!("set server {}/{}", target.key.backend, target.server);
    let ready = format!("{server} state ready");
    if checked { format!("{ready};{server} health down") } else { ready }
}

impl<S: Session> Haproxy<S> {
    /// The haproxy with the runtime socket `path` on `host`; without a session it can't be reached.
    pub fn new(host: HostName, session: Option<Arc<S>>, path: String, backends: BTreeSet<BackendName>) -> Self {
        let socket = session.map(|session| Socket::new(session, path.clone()));
        Self { host, path, socket, backends, last: Mutex::new(None) }
    }

    /// Whether this is the one with the socket `path` on `host`.
    pub fn is_at(&self, host: &HostName, path: &str) -> bool {
        self.host == *host && self.path == path
    }

    /// Where the socket is, and the session to that host; `None` without one.
    pub fn place(&self) -> Option<(&HostName, Arc<S>, &str)> {
        self.socket.as_ref().map(|socket| (&self.host, socket.session(), self.path.as_str()))
    }

    /// What is so now, on all backends, in one round.
    ///
    /// Callers that come while a round is under way share the next one, so that many hosts that drain at once cost a
    /// balancer no more than one. Each gets a look that began after it asked.
    pub async fn look(&self) -> Result<Arc<Look>, BalancerError> {
        let asked = Instant::now();
        let fresh = async {
            let mut last = self.last.lock().await;
            if let Some((began, look)) = last.as_ref()
                && *began >= asked
            {
                return look.clone();
            }
            let began = Instant::now();
            let look = self.round().await.map(Arc::new);
            *last = Some((began, look.clone()));
            look
        };
        match timeout(LOOK, fresh).await {
            Ok(look) => look,
            Err(_) => Err(self.unreachable(SocketError { what: "no answer".to_owned(), help: None })),
        }
    }

    /// What stands in the facts of each backend.
    pub async fn observe(&self) -> Vec<BalancerFacts> {
        let look = self.look().await;
        let facts = |backend: &BackendName| {
            let key = BalancerKey { host: self.host.clone(), backend: backend.clone() };
            match &look {
                Ok(look) => look.facts(key),
                Err(fault) => BalancerFacts {
                    key,
                    reach: Reach::Unreachable(fault.to_string()),
                    servers: BTreeMap::new(),
                    // Without a way out there is nothing to add to the reason.
                    problems: fault.help().map(|help| Problem::new(fault.to_string(), help)).into_iter().collect(),
                },
            }
        };
        self.backends.iter().map(facts).collect()
    }

    /// Asks for `state` of a server. That haproxy agreed does not mean that it is so: a look tells.
    pub async fn set(&self, target: &Target, state: ServerState) -> Result<(), BalancerError> {
        let command = format!("set server {}/{} state {state}", target.key.backend, target.server);
        self.order(target, &command, &state.to_string()).await
    }

    /// Gives a server its traffic back that may not be well; see [`ready`].
    pub async fn make_ready(&self, target: &Target, checked: bool) -> Result<(), BalancerError> {
        self.order(target, &ready(target, checked), "ready").await
    }

    /// Closes a server's connections.
    pub async fn cut(&self, target: &Target) -> Result<(), BalancerError> {
        let command = format!("shutdown sessions server {}/{}", target.key.backend, target.server);
        self.order(target, &command, "no sessions").await
    }

    /// See [`Socket::leaving`].
    pub async fn leaving(&self, pid: u32, old: &[u32]) -> Result<Option<Vec<u32>>, BalancerError> {
        self.socket()?.leaving(pid, old).await.map_err(|fault| self.unreachable(fault))
    }

    /// Sends commands, in one line, whose only good answer is none.
    async fn order(&self, target: &Target, line: &str, wanted: &str) -> Result<(), BalancerError> {
        let text = self.socket()?.ask(line).await.map_err(|fault| self.unreachable(fault))?;
        let answer = wire::answers(&text, line.split(';').count()).map_err(|fault| self.garbled(&fault))?.concat();
        if answer.is_empty() {
            return Ok(());
        }
        if answer.starts_with("No such server") {
            let look = self.look().await?;
            look.server(target)?;
        }
        Err(BalancerError::Refused {
            target: target.clone(),
            wanted: wanted.to_owned(),
            answer: wire::excerpt(&answer),
        })
    }

    async fn round(&self) -> Result<Look, BalancerError> {
        let began = Instant::now();
        loop {
            let look = self.ask_all().await?;
            if !look.info.stopping || began.elapsed() >= RELOAD {
                return Ok(look);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ask_all(&self) -> Result<Look, BalancerError> {
        let mut commands = vec!["show cli level".to_owned(), "show info".to_owned()];
        for backend in &self.backends {
            commands.push(format!("show servers state {backend}"));
            commands.push(format!("show stat {backend} 4 -1"));
        }
        let text = self.ask(&commands).await?;
        let answers = wire::answers(&text, commands.len()).map_err(|fault| self.garbled(&fault))?;
        let garbled = |fault: WireError| self.garbled(&fault);
        let mut look = Look {
            info: wire::info(answers[1]).map_err(garbled)?,
            level: answers[0].trim().to_owned(),
            backends: BTreeMap::new(),
        };
        for (backend, pair) in self.backends.iter().zip(answers[2..].chunks_exact(2)) {
            let Some(backend_state) = wire::standings(pair[0]).map_err(garbled)? else { continue };
            let mut stats = wire::stats(pair[1]).map_err(garbled)?;
            if stats.is_empty() && !backend_state.servers.is_empty() {
                // A frontend of the same name: `show stat` takes that one, `show servers state` never does.
                let command = format!("show stat {} 4 -1", backend_state.number);
                let text = self.ask(&[command]).await?;
                stats = wire::stats(&text).map_err(garbled)?;
            }
            let mut servers = BTreeMap::new();
            for (name, standing) in backend_state.servers {
                let Some(stat) = stats.remove(&name) else {
                    let why = format!("`show stat` leaves out server `{}` of `{backend}`", clean(&name));
                    return Err(BalancerError::Garbled { host: self.host.clone(), why });
                };
                servers.insert(name, Server { standing, stat });
            }
            look.backends.insert(backend.clone(), servers);
        }
        Ok(look)
    }

    async fn ask(&self, commands: &[String]) -> Result<String, BalancerError> {
        self.socket()?.ask(&commands.join(";")).await.map_err(|fault| self.unreachable(fault))
    }

    fn socket(&self) -> Result<&Socket<S>, BalancerError> {
        self.socket.as_ref().ok_or_else(|| {
            self.unreachable(SocketError { what: "there is no connection to the host".to_owned(), help: None })
        })
    }

    fn unreachable(&self, fault: SocketError) -> BalancerError {
        BalancerError::Unreachable { host: self.host.clone(), why: fault.what, help: fault.help }
    }

    fn garbled(&self, fault: &WireError) -> BalancerError {
        BalancerError::Garbled { host: self.host.clone(), why: fault.to_string() }
    }
}

impl Look {
    /// The server of `target`.
    pub fn server(&self, target: &Target) -> Result<&Server, BalancerError> {
        let backend = &target.key.backend;
        let servers = self.backends.get(backend).ok_or_else(|| BalancerError::NoSuchBackend(target.key.clone()))?;
        servers.get(target.server.as_str()).ok_or_else(|| BalancerError::NoSuchServer {
            target: target.clone(),
            known: servers.keys().map(|name| clean(name)).collect(),
        })
    }

    fn facts(&self, key: BalancerKey) -> BalancerFacts {
        let mut problems = Vec::new();
        let host = &key.host;
        if self.level != "admin" {
            let what = format!("the runtime socket on `{host}` has level `{}`", wire::excerpt(&self.level));
            problems.push(Problem::new(what, no_admin(host)));
        }
        if wire::release(&self.info.version).is_none_or(|version| version < OLDEST) {
            let what = format!("haproxy on `{host}` is version {}", wire::excerpt(&self.info.version));
            problems.push(Problem::new(what, format!("shipit needs {}.{} or later", OLDEST.0, OLDEST.1)));
        }
        if self.info.stopping {
            let what = format!("haproxy on `{host}` is stopping");
            problems.push(Problem::new(what, "wait until its restart is over, then look again"));
        }
        let Some(servers) = self.backends.get(&key.backend) else {
            let fault = BalancerError::NoSuchBackend(key.clone());
            problems.push(Problem { what: fault.to_string(), help: fault.help() });
            return BalancerFacts { key, reach: Reach::Reached, servers: BTreeMap::new(), problems };
        };
        // A server whose name could be none of ours is none of ours.
        let named =
            servers.iter().filter_map(|(name, server)| Some((name.parse::<ServerName>().ok()?, server.facts())));
        BalancerFacts { reach: Reach::Reached, servers: named.collect(), problems, key }
    }
}

impl Server {
    /// Requests at the server, and those that wait for it.
    pub fn busy(&self) -> u64 {
        self.stat.current.saturating_add(self.stat.queued)
    }

    /// haproxy's words for the status, the check's where it is not a plain one, and a weight by which it gets nothing.
    pub fn words(&self) -> String {
        let weight = if self.standing.weight == 0 { "weight 0" } else { "" };
        let words = [clean(&self.stat.status), clean(&self.stat.check), weight.to_owned()];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
    }

    fn facts(&self) -> ServerFacts {
        ServerFacts {
            state: self.standing.state,
            up: self.standing.up,
            weight: self.standing.weight,
            checked: self.standing.checked,
            status: clean(&self.stat.status),
            address: clean(&self.standing.address),
            sticky: self.stat.sticky,
        }
    }
}
