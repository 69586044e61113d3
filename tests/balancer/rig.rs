//! One or two real haproxies in front of two apps, all on this machine, and a session that runs scripts here.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shipit::balancer::Balancers;
use shipit::model::{
    BalancerKind, BalancerSpec, DrainSpec, Host, Inventory, Leftover, LimitSpec, ServerState, SshSpec, Template,
};
use shipit::transport::{ExecError, Output, Parcel, Progress, Script, Session};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, timeout};

use crate::app::App;

/// Where Debian and all others put it.
const HAPROXY: &str = "/usr/sbin/haproxy";

/// No single thing that a test waits for takes a tenth of this, even on a busy machine.
pub const SOON: Duration = Duration::from_secs(10);

/// The recipe's `[drain]` in tests where all goes well.
pub const PATIENT: DrainSpec = DrainSpec { timeout: SOON, leftover: Leftover::Abort };

/// The balancers with their apps.
pub struct Rig {
    pub dir: TempDir,
    pub web1: App,
    pub web2: App,
    pub inventory: Inventory,
    haproxies: Vec<Child>,
}

/// What differs between rigs.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// Levels of the sockets: one haproxy each, `lb1` and so on.
    pub levels: &'a [&'a str],
    /// Lines for the backend.
    pub backend: &'a str,
    /// The name of the frontend.
    pub frontend: &'a str,
    /// The name of the first server on the last balancer.
    pub first_server: &'a str,
    /// What comes behind each server's address; `%` is its name.
    pub server: &'a str,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            levels: &["admin"],
            backend: "option httpchk GET /health",
            frontend: "fe",
            first_server: "web1",
            server: "check inter 100ms fall 2 rise 2",
        }
    }
}

/// What came back from a balancer's frontend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub server: String,
}

impl Rig {
    pub async fn start(setup: Setup<'_>) -> Self {
        let dir = tempfile::Builder::new().prefix("lb").tempdir().unwrap();
        let (web1, web2) = (App::start("web1").await, App::start("web2").await);
        let mut rig = Self { inventory: inventory(dir.path(), setup.levels.len()), dir, web1, web2, haproxies: vec![] };
        for (number, level) in setup.levels.iter().enumerate() {
            rig.start_haproxy(number + 1, level, setup).await;
        }
        rig
    }

    async fn start_haproxy(&mut self, number: usize, level: &str, setup: Setup<'_>) {
        let dir = self.dir.path().display().to_string();
        let Setup { backend, frontend, server, .. } = setup;
        let first = if number == setup.levels.len() { setup.first_server } else { "web1" };
        let server_line =
            |name: &str, port: u16| format!("  server {name} 127.0.0.1:{port} {}\n", server.replace('%', name));
        let config = format!(
            "global\n  stats socket {dir}/lb{number}.sock mode 600 level {level} expose-fd listeners\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n\
             frontend {frontend}\n  bind unix@{dir}/fe{number}.sock\n  default_backend app\n\
             backend app\n  balance roundrobin\n  {backend}\n{}{}",
            server_line(first, self.web1.port),
            server_line("web2", self.web2.port),
        );
        let file = self.dir.path().join(format!("lb{number}.cfg"));
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(self.dir.path().join(format!("lb{number}.log"))).unwrap();
        let mut command = Command::new(HAPROXY);
        command.arg("-W").arg("-S").arg(self.dir.path().join(format!("master{number}.sock"))).arg("-f").arg(&file);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.haproxies.push(command.spawn().expect("haproxy is installed"));
        let socket = self.dir.path().join(format!("lb{number}.sock"));
        eventually("haproxy answers", async || runtime(&socket, "show info").await.contains("Pid: ")).await;
        // A signal that comes before the master is ready for it is lost.
        let master = self.dir.path().join(format!("master{number}.sock"));
        eventually("its master answers", async || runtime(&master, "show proc").await.contains("worker ")).await;
        // The first check of each server, so that nothing changes by itself while a test looks.
        if server.contains("check") {
            let checked = async || runtime(&socket, "show stat app 4 -1").await.matches("L7OK").count() == 2;
            eventually("both servers are checked", checked).await;
        }
    }

    /// The balancers as shipit drives them, over the best way.
    pub fn balancers(&self) -> Balancers<Local> {
        self.balancers_by(&Arc::new(Local::default()))
    }

    pub fn balancers_by(&self, session: &Arc<Local>) -> Balancers<Local> {
        Balancers::new(&self.inventory, |_| Some(session.clone()))
    }

    pub fn host(&self, name: &str) -> &Host {
        self.inventory.host(&name.parse().unwrap()).unwrap()
    }

    /// One command to a balancer's socket, past shipit.
    pub async fn runtime(&self, number: usize, command: &str) -> String {
        runtime(&self.dir.path().join(format!("lb{number}.sock")), command).await
    }

    /// What a balancer says of a server's state.
    pub async fn state(&self, number: usize, server: &str) -> ServerState {
        let text = self.runtime(number, "show servers state app").await;
        let row = text.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|row| row.get(3) == Some(&server));
        match row.unwrap()[6] {
            "0" => ServerState::Ready,
            "8" => ServerState::Drain,
            _ => ServerState::Maint,
        }
    }

    /// The states of `web1` on all balancers.
    pub async fn states(&self) -> Vec<ServerState> {
        let mut states = Vec::new();
        for number in 1..=self.haproxies.len() {
            states.push(self.state(number, "web1").await);
        }
        states
    }

    /// What `systemctl reload haproxy` does.
    pub async fn reload(&self, number: usize) {
        let before = self.pid(number).await;
        signal("USR2", self.haproxies[number - 1].id());
        eventually("another worker answers", async || self.pid(number).await != before).await;
    }

    async fn pid(&self, number: usize) -> String {
        let info = self.runtime(number, "show info").await;
        info.lines().find(|line| line.starts_with("Pid: ")).unwrap_or_default().to_owned()
    }

    /// A request through a balancer's frontend.
    pub async fn get(&self, number: usize, path: &str, cookie: &str) -> Answer {
        get(self.frontend(number), path, cookie).await
    }

    pub fn frontend(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("fe{number}.sock"))
    }

    /// Requests to `path` that are in flight at both apps, one each.
    pub async fn in_flight(&self, number: usize, path: &'static str) -> [tokio::task::JoinHandle<Answer>; 2] {
        let frontend = self.frontend(number);
        let requests = [(); 2].map(|()| {
            let frontend = frontend.clone();
            tokio::spawn(async move { get(frontend, path, "").await })
        });
        let held = async || [&self.web1, &self.web2].iter().all(|app| app.page.held.load(SeqCst) == 1);
        eventually("a request is in flight at each app", held).await;
        requests
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for child in &mut self.haproxies {
            // The master passes it on to all its workers, old and new; SIGKILL would leave them behind.
            signal("TERM", child.id());
            let _ = child.wait();
        }
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap().success());
}

fn inventory(dir: &Path, balancers: usize) -> Inventory {
    let host = |name: String, role: &str| Host {
        address: "127.0.0.1".parse().unwrap(),
        name: name.parse().unwrap(),
        roles: [role.parse().unwrap()].into(),
        labels: [].into(),
    };
    let apps = ["web1", "web2"].map(|name| host(name.to_owned(), "app"));
    let balancer_hosts = (1..=balancers).map(|number| host(format!("lb{number}"), "lb"));
    Inventory {
        environment: "test".parse().unwrap(),
        recipe: "web".parse().unwrap(),
        strategy: shipit::model::StrategyName::Rolling,
        protected: false,
        ssh: SshSpec::default(),
        limits: LimitSpec::default(),
        hosts: apps.into_iter().chain(balancer_hosts).collect(),
        balancers: vec![BalancerSpec {
            kind: BalancerKind::Haproxy,
            role: "lb".parse().unwrap(),
            socket: Template::parse("{vars.dir}/{host}.sock").unwrap(),
            backend: "app".parse().unwrap(),
            server: Template::parse("{host}").unwrap(),
            serves: "app".parse().unwrap(),
        }],
        vars: [("dir".to_owned(), dir.display().to_string())].into(),
    }
}

/// Polls until `done`; a test that waits in vain says for what.
pub async fn eventually(what: &str, done: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < SOON, "waited in vain until {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Words of progress, for tests to wait for.
#[derive(Clone, Default)]
pub struct Words(Arc<Mutex<Vec<String>>>);

impl Words {
    pub fn progress(&self) -> Progress {
        let words = self.0.clone();
        Progress::to(move |word| words.lock().unwrap().push(word.to_owned()))
    }

    pub async fn wait_for(&self, part: &str) {
        eventually(part, async || self.have(part)).await;
    }

    pub fn have(&self, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|word| word.contains(part))
    }
}

pub async fn get(frontend: PathBuf, path: &str, cookie: &str) -> Answer {
    let whole = async {
        let mut stream = UnixStream::connect(&frontend).await.ok()?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        let server = text.lines().find_map(|line| line.strip_prefix("x-server: ")).unwrap_or_default().to_owned();
        Some(Answer { status, server })
    };
    // Status 0 stands for every way to get no answer.
    timeout(SOON, whole).await.ok().flatten().unwrap_or(Answer { status: 0, server: String::new() })
}

async fn runtime(socket: &Path, command: &str) -> String {
    let whole = async {
        let mut stream = UnixStream::connect(socket).await.ok()?;
        stream.write_all(format!("{command}\n").as_bytes()).await.ok()?;
        stream.shutdown().await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        Some(text)
    };
    timeout(SOON, whole).await.ok().flatten().unwrap_or_default()
}

/// A session to this machine.
#[derive(Default)]
pub struct Local {
    /// What scripts have as their `PATH`, if not the usual one.
    pub path: Option<PathBuf>,
    /// What becomes of forwards.
    pub forward: Forwarding,
    /// Where forwards are made, as links that a test can take away.
    pub links: Option<PathBuf>,
    /// Scripts run so far.
    pub scripts: Mutex<Vec<String>>,
}

/// What becomes of forwards.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// They work.
    #[default]
    Works,
    /// They are refused.
    Refused,
    /// They are there, and nobody answers: what `AllowStreamLocalForwarding no` looks like.
    Silent,
}

impl Session for Local {
    async fn run(&self, script: &Script, deadline: Duration, _: &Progress) -> Result<Output, ExecError> {
        self.scripts.lock().unwrap().push(script.lean());
        let mut command = tokio::process::Command::new("/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(script.lean().as_bytes()).await.unwrap();
        drop(input);
        let out =
            timeout(deadline, child.wait_with_output()).await.map_err(|_| ExecError::TimedOut(deadline))?.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Output { code: out.status.code().unwrap(), stdout: text(out.stdout), stderr: text(out.stderr) })
    }

    async fn upload(&self, _: &Parcel, _: Duration, _: &Progress) -> Result<Output, ExecError> {
        Err(ExecError::Lost("balancers are sent no files".to_owned()))
    }

    async fn converse(&self, _: &Script, _: UnboundedReceiver<String>, _: &Progress) -> Result<Output, ExecError> {
        Err(ExecError::Lost("balancers are not talked with".to_owned()))
    }

    async fn forward(&self, remote: &str) -> Result<PathBuf, ExecError> {
        match self.forward {
            Forwarding::Works => match &self.links {
                None => Ok(remote.into()),
                Some(links) => {
                    let link = links.join(std::fs::read_dir(links).unwrap().count().to_string());
                    std::os::unix::fs::symlink(remote, &link).unwrap();
                    Ok(link)
                }
            },
            Forwarding::Refused => Err(ExecError::Lost("forwarding refused".to_owned())),
            Forwarding::Silent => Ok("/nonexistent/socket".into()),
        }
    }

    async fn close(self) {}
}
