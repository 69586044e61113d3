//! An sshd of the test's own, on a free port of this machine, with its own keys and an ssh configuration to reach it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use shipit::model::{Host, SshSpec};
use shipit::transport::{Limits, OpenSsh};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

pub struct Sshd {
    process: Child,
    pub dir: TempDir,
    pub port: u16,
}

impl Sshd {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more lines in its configuration.
    pub fn with(more: &str) -> Self {
        assert!(Path::new(SSHD).exists(), "there is no {SSHD}: apt-get install openssh-server");
        // sshd's own wish, when root starts it.
        if uid() == 0 {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let dir = tempfile::Builder::new().prefix("sshd").tempdir_in("/tmp").unwrap();
        for key in ["host", "login", "other"] {
            key_pair(&dir.path().join(key));
        }
        fs::copy(dir.path().join("login.pub"), dir.path().join("authorized")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let d = dir.path().display();
        // `SHLVL` keeps bash from the rc files of whoever runs the tests, which can take longer than all the rest.
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {d}/host\nAuthorizedKeysFile {d}/authorized\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             PrintMotd no\nMaxStartups 100\nSetEnv SHLVL=5\n{more}\n"
        );
        fs::write(dir.path().join("sshd_config"), config).unwrap();
        let log = fs::File::create(dir.path().join("sshd.log")).unwrap();
        let process = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(dir.path().join("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let sshd = Self { process, dir, port };
        sshd.knows(&sshd.path("host.pub"));
        sshd.client_config("login", "");
        let until = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "{}", fs::read_to_string(sshd.path("sshd.log")).unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
        sshd
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes the client know the public key in the file `key` as this host's.
    pub fn knows(&self, key: &Path) {
        let key = fs::read_to_string(key).unwrap();
        fs::write(self.path("known"), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
    }

    /// Writes the client's configuration, with the login key in the file `key`.
    pub fn client_config(&self, key: &str, more: &str) {
        let (d, port) = (self.dir.path().display(), self.port);
        let text = format!(
            "{more}\nHost *\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {d}/{key}\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile {d}/known\n  GlobalKnownHostsFile none\n"
        );
        fs::write(self.path("client"), text).unwrap();
    }

    pub fn spec(&self) -> SshSpec {
        SshSpec { user: None, config: Some(self.path("client")) }
    }

    pub fn transport(&self) -> OpenSsh {
        OpenSsh::start(&self.spec()).unwrap()
    }

    pub fn transport_within(&self, limits: Limits) -> OpenSsh {
        OpenSsh::start_within(&self.spec(), limits).unwrap()
    }

    /// The processes of sshd that serve connections now.
    pub fn connections(&self) -> Vec<u32> {
        children(self.process.id())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        for pid in self.connections() {
            kill(pid, "KILL");
        }
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    tempfile::tempfile().unwrap().metadata().unwrap().uid()
}

pub fn key_pair(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status().unwrap();
    assert!(made.success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Sends `signal` to the process `pid`, which the test started.
pub fn kill(pid: u32, signal: &str) {
    Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).stderr(Stdio::null()).status().unwrap();
}

pub fn children(pid: u32) -> Vec<u32> {
    processes().into_iter().filter(|(_, parent, _)| *parent == pid).map(|(pid, ..)| pid).collect()
}

/// Every process: its pid, its parent's, and its command line.
pub fn processes() -> Vec<(u32, u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let mut after = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let (state, parent) = (after.next(), after.next().and_then(|parent| parent.parse().ok()));
        if state == Some("Z") {
            continue;
        }
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        found.push((pid, parent.unwrap_or(0), String::from_utf8_lossy(&line).replace('\0', " ")));
    }
    found
}

pub fn host(name: &str) -> Host {
    let name: shipit::model::HostName = name.parse().unwrap();
    Host { address: (&name).into(), name, roles: BTreeSet::new(), labels: BTreeMap::new() }
}
