//! The simulated haproxy against the real one: the same commands, chosen by chance, and the same states after each.
//!
//! Twice: with checks so rare that none comes in between, which shows what a command does at once; and with frequent ones and an
//! app that falls ill and recovers, which shows what haproxy's checks make of it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use shipit::model::{ServerState, StrategyName};
use tempfile::TempDir;

use crate::simulate::fleet::Fleet;
use crate::simulate::random::Random;
use crate::simulate::setup::{Base, Setup};
use crate::simulate::state::State;

const SEEDS: [u64; 3] = [1, 2, 3];

const COMMANDS: u32 = 30;

/// Nothing here takes a tenth of this, even on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// What is done to a server of both.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    Ready,
    Drain,
    Maint,
    /// What a guard says: `ready` and `health down` in one line.
    PutBack,
    Reload,
    FallsIll,
    Recovers,
}

/// One server of a real haproxy, and the app behind it.
struct Real {
    dir: TempDir,
    master: Child,
    is_well: Arc<AtomicBool>,
    checks: Arc<AtomicU64>,
}

impl Real {
    fn start(inter: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("fidelity").tempdir().unwrap();
        let (is_well, checks) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let port = app(&is_well, &checks);
        let at = dir.path().display();
        let config = format!(
            "global\n  stats socket {at}/lb.sock mode 600 level admin expose-fd listeners\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n  timeout check 10s\n\
             frontend fe\n  bind unix@{at}/fe.sock\n  default_backend app\n\
             backend app\n  option httpchk GET /up\n  server web1 127.0.0.1:{port} check inter {inter} fall 2 rise 2\n"
        );
        std::fs::write(dir.path().join("lb.cfg"), config).unwrap();
        let mut command = Command::new("/usr/sbin/haproxy");
        command.arg("-W").arg("-S").arg(dir.path().join("master.sock")).arg("-f").arg(dir.path().join("lb.cfg"));
        let master = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let real = Self { dir, master, is_well, checks };
        eventually("haproxy answers", || real.pid().is_some());
        real.await_master();
        eventually("the first check has passed", || real.stat().contains("L7OK"));
        real
    }

    /// Waits until the master listens: while it reloads it does not.
    fn await_master(&self) {
        let master = self.dir.path().join("master.sock");
        eventually("its master answers", || ask(&master, "show proc").is_some_and(|said| said.contains("worker ")));
    }

    fn ask(&self, line: &str) -> String {
        ask(&self.dir.path().join("lb.sock"), line).unwrap_or_default()
    }

    fn pid(&self) -> Option<String> {
        self.ask("show info").lines().find(|line| line.starts_with("Pid: ")).map(str::to_owned)
    }

    fn stat(&self) -> String {
        let all = self.ask("show stat");
        all.lines().find(|line| line.starts_with("app,web1,")).unwrap_or_default().to_owned()
    }

    fn put(&self, deed: Deed) {
        match deed {
            Deed::Ready => drop(self.ask("set server app/web1 state ready")),
            Deed::Drain => drop(self.ask("set server app/web1 state drain")),
            Deed::Maint => drop(self.ask("set server app/web1 state maint")),
            Deed::PutBack => drop(self.ask("set server app/web1 state ready;set server app/web1 health down")),
            Deed::Reload => {
                let before = self.pid();
                let pid = before.as_deref().and_then(|line| line.strip_prefix("Pid: ")).unwrap_or_default();
                let old = Path::new("/proc").join(pid);
                self.await_master();
                ask(&self.dir.path().join("master.sock"), "reload");
                eventually("the new process answers", || self.pid().is_some_and(|pid| Some(pid) != before));
                // As long as it is there it may answer in the new one's place.
                eventually("the old process is gone", || !old.exists());
            }
            Deed::FallsIll => self.is_well.store(false, SeqCst),
            Deed::Recovers => self.is_well.store(true, SeqCst),
        }
    }

    /// Waits for as many checks as it may take haproxy to change its mind, and for one more to have been heard.
    fn await_checks(&self) {
        let before = self.checks.load(SeqCst);
        eventually("haproxy checks", || self.checks.load(SeqCst) >= before + 5);
    }

    /// What somebody asked of the server, and haproxy's word for its status.
    fn seen(&self) -> (ServerState, String) {
        let line = self.ask("show servers state app");
        let line = line.lines().find(|line| line.contains(" web1 ")).unwrap_or_default();
        let admin: u32 = line.split(' ').nth(6).and_then(|bits| bits.parse().ok()).unwrap_or_default();
        let state = match admin {
            _ if admin & 1 != 0 => ServerState::Maint,
            _ if admin & 8 != 0 => ServerState::Drain,
            _ => ServerState::Ready,
        };
        let status = self.stat().split(',').nth(17).unwrap_or_default().to_owned();
        (state, status.split(' ').next().unwrap_or_default().to_owned())
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

fn ask(socket: &Path, line: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(format!("{line}\n").as_bytes()).ok()?;
    stream.shutdown(Shutdown::Write).ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

/// An app that says how it is, and counts who asks.
fn app(is_well: &Arc<AtomicBool>, checks: &Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (is_well, checks) = (is_well.clone(), checks.clone());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 1024]);
            let status = if is_well.load(SeqCst) { "200 OK" } else { "503 Service Unavailable" };
            let _ = write!(stream, "HTTP/1.0 {status}\r\nContent-Length: 0\r\n\r\n");
            checks.fetch_add(1, SeqCst);
        }
    });
    port
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

impl State {
    fn put(&mut self, deed: Deed) {
        match deed {
            Deed::Ready => self.set(0, 0, ServerState::Ready, None),
            Deed::Drain => self.set(0, 0, ServerState::Drain, None),
            Deed::Maint => self.set(0, 0, ServerState::Maint, None),
            Deed::PutBack => self.make_ready(0, 0),
            Deed::Reload => self.reload(0),
            Deed::FallsIll => self.hosts[0].apps[0].is_healthy = false,
            Deed::Recovers => self.hosts[0].apps[0].is_healthy = true,
        }
    }

    fn seen(&self) -> (ServerState, String) {
        let facts = self.servers(0).into_values().next().unwrap();
        (facts.state, facts.status)
    }
}

/// Both do the same and are compared after each deed.
fn compare(seed: u64, deeds: &[Deed], inter: &str, has_checks: bool) {
    let real = Real::start(inter);
    let setup = Setup::plain(&Base::read().unwrap(), seed, StrategyName::Rolling, 1, 1, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let fleet = Fleet::of(setup.clone(), State::of(setup, false));
        let mut random = Random::of(seed);
        let mut done = Vec::new();
        for _ in 0..COMMANDS {
            let deed = random.pick(deeds);
            done.push(deed);
            real.put(deed);
            fleet.with(|state| state.put(deed));
            if has_checks {
                tokio::time::sleep(Duration::from_mins(1)).await;
                if fleet.with(|state| state.seen().0) != ServerState::Maint {
                    real.await_checks();
                }
            }
            assert_eq!(
                real.seen(),
                fleet.with(|state| state.seen()),
                "real and simulated, seed {seed}, after {done:?}"
            );
        }
    });
}

#[test]
fn what_is_asked_of_haproxy_does_the_same_at_once() {
    for seed in SEEDS {
        compare(seed, &[Deed::Ready, Deed::Drain, Deed::Maint, Deed::PutBack, Deed::Reload], "1h", false);
    }
}

#[test]
fn its_checks_come_to_the_same() {
    use Deed::{Drain, FallsIll, Maint, PutBack, Ready, Recovers, Reload};
    let deeds = [Ready, Ready, Drain, Drain, Maint, PutBack, PutBack, Reload, FallsIll, FallsIll, Recovers, Recovers];
    for seed in SEEDS {
        compare(seed, &deeds, "20ms", true);
    }
}
