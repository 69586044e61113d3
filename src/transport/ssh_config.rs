//! The ssh configuration of one run: what shipit insists on, then what the user has.
//!
//! It is a file and not options of the command line, because ssh hands its file to the ssh of a jump host, and its
//! options not: a jump host's key must be as strictly known, and nobody may be asked for a password there either.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Limits;
use crate::model::SshSpec;

/// The system's configuration; the user's is found by ssh.
const SYSTEM: &str = "/etc/ssh/ssh_config";

/// What Debian's system configuration includes. It is mostly empty, and looked at only for that reason.
const SYSTEM_PARTS: &str = "/etc/ssh/ssh_config.d";

/// The file for `ssh -F`.
#[derive(Debug)]
pub(super) struct SshConfig {
    path: PathBuf,
    copies: Vec<(PathBuf, PathBuf)>,
    may_jump: bool,
}

impl SshConfig {
    /// Writes it into `dir`.
    pub(super) fn write(dir: &Path, spec: &SshSpec, limits: &Limits) -> io::Result<Self> {
        let mut included = Vec::new();
        let mut copies = Vec::new();
        // Included files must belong to the user and be writable by nobody else, which a checkout in CI often is not,
        // while `ssh -F` takes any file. A copy makes it as lenient, and keeps the line numbers of ssh's complaints.
        let mut include_copy = |from: &Path, name: &str| -> io::Result<String> {
            let to = dir.join(name);
            fs::write(&to, fs::read(from)?)?;
            let name = format!("\"{}\"", to.display());
            copies.push((to, from.to_owned()));
            Ok(name)
        };
        // The order is ssh's own: the first value wins.
        if let Some(config) = &spec.config {
            included.push(include_copy(config, "inventory.config")?);
        } else {
            included.push("~/.ssh/config".to_owned());
            if Path::new(SYSTEM).exists() {
                included.push(include_copy(Path::new(SYSTEM), "system.config")?);
            }
        }
        let mut text = insisted(limits);
        for name in included {
            // What is included is read within the block before it, which has to be one that fits every host.
            let _ = write!(text, "Match all\nInclude {name}\n");
        }
        let path = dir.join("config");
        fs::write(&path, text)?;
        Ok(Self { path, copies, may_jump: may_jump(spec) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether any host may be behind a jump host; if so, ssh has to be asked which.
    pub(super) fn may_jump(&self) -> bool {
        self.may_jump
    }

    /// `text` of ssh's, with the user's own files instead of our copies of them.
    pub(super) fn in_users_terms(&self, text: &str) -> String {
        self.copies
            .iter()
            .fold(text.to_owned(), |text, (copy, from)| text.replace(&*copy.to_string_lossy(), &from.to_string_lossy()))
    }
}

/// What no configuration of the user's may change.
fn insisted(limits: &Limits) -> String {
    format!(
        "Host *\n\
         BatchMode yes\n\
         StrictHostKeyChecking yes\n\
         UpdateHostKeys no\n\
         AddKeysToAgent no\n\
         ForwardAgent no\n\
         ForwardX11 no\n\
         ClearAllForwardings yes\n\
         ExitOnForwardFailure no\n\
         PermitLocalCommand no\n\
         RemoteCommand none\n\
         RequestTTY no\n\
         # Masters that the user keeps for jump hosts are used, and none that would outlive the run is made.\n\
         ControlMaster no\n\
         ConnectionAttempts 1\n\
         ConnectTimeout {}\n\
         ServerAliveInterval {}\n\
         ServerAliveCountMax {}\n\
         # The lines that say why a connection broke are of this level.\n\
         LogLevel INFO\n",
        limits.tcp.as_secs().max(1),
        limits.alive_interval.as_secs().max(1),
        limits.alive_count,
    )
}

/// Whether the user's configuration may name a jump host. Asking ssh for each host costs a process each, so a
/// configuration that can't is spared it.
fn may_jump(spec: &SshSpec) -> bool {
    if let Some(config) = &spec.config {
        return mentions_jump(config);
    }
    let parts = fs::read_dir(SYSTEM_PARTS).into_iter().flatten().flatten().map(|entry| entry.path());
    let user = std::env::home_dir().map(|home| home.join(".ssh/config"));
    parts.chain(user).chain([PathBuf::from(SYSTEM)]).any(|path| mentions_jump(&path))
}

fn mentions_jump(path: &Path) -> bool {
    let text = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().any(|line| {
        let line = line.trim().to_ascii_lowercase();
        let word = line.split(|c: char| c.is_whitespace() || c == '=').next().unwrap_or_default();
        match word {
            "proxyjump" | "proxycommand" => true,
            "include" => !line.contains(SYSTEM_PARTS),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    fn resolved(user_config: &str, host: &str) -> String {
        let dir = tempfile::Builder::new().prefix("with space").tempdir().unwrap();
        let config = dir.path().join("user's config");
        fs::write(&config, user_config).unwrap();
        let spec = SshSpec { user: None, config: Some(config) };
        let ours = SshConfig::write(dir.path(), &spec, &Limits::default()).unwrap();
        let asked = Command::new("ssh").arg("-G").arg("-F").arg(ours.path()).arg(host).output().unwrap();
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap()
    }

    #[test]
    fn ours_wins_and_the_users_is_obeyed() {
        let got = resolved(
            "StrictHostKeyChecking no\nServerAliveInterval 60\nControlMaster auto\nPort 2200\n\
             Host web*\n  User deploy\n  ProxyJump bastion\n  ForwardAgent yes\nHost db\n  User dba\n",
            "web1",
        );
        for line in [
            "stricthostkeychecking true",
            "batchmode yes",
            "serveraliveinterval 3",
            "serveralivecountmax 2",
            "connecttimeout 10",
            "controlmaster false",
            "forwardagent no",
            "clearallforwardings yes",
            "port 2200",
            "user deploy",
            "proxyjump bastion",
        ] {
            assert!(got.lines().any(|found| found == line), "no `{line}` in\n{got}");
        }
    }

    #[test]
    fn the_complaint_names_the_users_file() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("mine");
        fs::write(&config, "Port 22\nNonsense yes\n").unwrap();
        let spec = SshSpec { user: None, config: Some(config.clone()) };
        let ours = SshConfig::write(dir.path(), &spec, &Limits::default()).unwrap();
        let asked = Command::new("ssh").arg("-G").arg("-F").arg(ours.path()).arg("web1").output().unwrap();
        let said = ours.in_users_terms(&String::from_utf8_lossy(&asked.stderr));
        assert!(said.contains(&format!("{}: line 2: Bad configuration option: nonsense", config.display())), "{said}");
    }

    #[test]
    fn without_a_config_of_the_inventory_the_users_and_the_systems_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits { tcp: Duration::from_secs(2), ..Limits::default() };
        let ours = SshConfig::write(dir.path(), &SshSpec::default(), &limits).unwrap();
        let text = fs::read_to_string(ours.path()).unwrap();
        assert!(text.starts_with("Host *\n") && text.contains("ConnectTimeout 2\n"));
        let user = text.find("Match all\nInclude ~/.ssh/config\n").unwrap();
        if let Some(system) = text.find("system.config") {
            assert!(user < system);
        }
    }

    #[test]
    fn a_configuration_without_jumps_costs_no_question() {
        let dir = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("Host *\n  User me\n", false),
            ("# ProxyJump x\n", false),
            ("Host a\n\tproxyjump=b\n", true),
            ("ProxyCommand nc %h %p\n", true),
            ("Include other\n", true),
            ("Include /etc/ssh/ssh_config.d/*.conf\n", false),
        ] {
            let path = dir.path().join("c");
            fs::write(&path, text).unwrap();
            assert_eq!(mentions_jump(&path), expected, "{text}");
        }
    }
}
