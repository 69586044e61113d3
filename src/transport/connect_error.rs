//! Says why there is no connection, from what ssh wrote about it.

use std::path::Path;

use super::{ConnectError, script};
use crate::model::clean;
use crate::model::{Host, SshSpec};

/// A host, and how the user would name it to ssh.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) spec: SshSpec,
}

impl Target {
    /// The command that a person would type to get there.
    fn by_hand(&self) -> String {
        let config = self.spec.config.as_deref().map(|path| format!("-F {} ", word(&path.to_string_lossy())));
        let user = self.spec.user.as_deref().map(|user| format!("{user}@"));
        let to = format!("{}{}", user.unwrap_or_default(), self.host.address);
        format!("ssh {}{}", config.unwrap_or_default(), word(&to))
    }

    /// The host's name, and its address if that is another.
    fn called(&self) -> String {
        let (name, address) = (self.host.name.as_str(), self.host.address.as_str());
        if name == address { format!("`{name}`") } else { format!("`{name}` ({address})") }
    }
}

fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:+=".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { script::quote(text) }
}

/// What ssh says when sshd drops a connection at random because too many are not logged in yet (`MaxStartups`).
const DROPPED: &str = "kex_exchange_identification:";

/// Whether another try may do: the server dropped the connection before it began to speak, and nothing else is wrong.
pub(super) fn is_worth_another_try(log: &str) -> bool {
    log.contains(DROPPED) && kind(log) == Kind::Dropped
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    KeyChanged,
    KeyRevoked,
    KeyUnknown,
    TooManyKeys,
    Denied,
    Config,
    Name,
    Refused,
    NoRoute,
    TimedOut,
    NoCommonAlgorithm,
    Tunnel,
    Dropped,
    Other,
}

/// Which words of ssh's tell what, the more telling ones first: a log can hold several, and a jump host's besides.
const KINDS: &[(&str, Kind)] = &[
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", Kind::KeyChanged),
    ("REVOKED HOST KEY DETECTED", Kind::KeyRevoked),
    ("host key is known for", Kind::KeyUnknown),
    ("Host key verification failed", Kind::KeyUnknown),
    ("Too many authentication failures", Kind::TooManyKeys),
    ("Permission denied (", Kind::Denied),
    ("Bad configuration option", Kind::Config),
    ("Bad owner or permissions", Kind::Config),
    ("terminating, ", Kind::Config),
    ("Could not resolve hostname", Kind::Name),
    ("Connection refused", Kind::Refused),
    ("No route to host", Kind::NoRoute),
    ("Network is unreachable", Kind::NoRoute),
    ("timed out", Kind::TimedOut),
    ("Unable to negotiate", Kind::NoCommonAlgorithm),
    ("stdio forwarding failed", Kind::Tunnel),
    (DROPPED, Kind::Dropped),
    ("banner exchange: Connection to", Kind::Dropped),
    ("Connection closed by", Kind::Dropped),
    ("Connection reset by", Kind::Dropped),
];

fn kind(log: &str) -> Kind {
    KINDS.iter().find(|(words, _)| log.contains(words)).map_or(Kind::Other, |(_, kind)| *kind)
}

/// The error that ssh's `log` tells about. It comes from the network and is not trusted.
pub(super) fn explain(log: &str, target: &Target) -> ConnectError {
    let kind = kind(log);
    let hand = target.by_hand();
    // ssh calls a peer so that it reaches through a command. If that closes the connection, the trouble is on the way.
    let mut called = target.called();
    if log.contains("UNKNOWN port 65535") && kind != Kind::Tunnel {
        called = format!("the jump host of {called}");
    }
    let (what, help) = match kind {
        Kind::KeyChanged => (
            format!("the host key of {called} is not the known one, so nothing was sent to it"),
            Some(format!(
                "if the host was rebuilt, read its new fingerprint at its console (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), \
                 remove the old key{} and accept the new one with `{hand}`; if it was not, somebody may be in between",
                offending(log)
            )),
        ),
        Kind::KeyRevoked => (
            format!("the host key of {called} is marked as revoked, so nothing was sent to it"),
            Some("ask who revoked it; the host needs a new key".to_owned()),
        ),
        Kind::KeyUnknown => (
            format!("the host key of {called} is not known, so nothing was sent to it"),
            Some(format!(
                "connect once by hand with `{hand}`, compare the fingerprint with the one at the host's console \
                 (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`) and accept it"
            )),
        ),
        Kind::TooManyKeys => (
            format!("{called} refused the login after too many keys"),
            Some("name the right key with `IdentityFile` and `IdentitiesOnly yes` in the ssh configuration".to_owned()),
        ),
        Kind::Denied => (
            format!("{called} refused the login"),
            Some(format!("it has to work without a password: try `{hand}`")),
        ),
        Kind::Config => (
            "ssh can't use its configuration".to_owned(),
            Some(format!("correct it until `{}` works", hand.replacen("ssh ", "ssh -G ", 1))),
        ),
        Kind::Name => (
            format!("{called} can't be found"),
            Some("give it an `address` in the inventory, or a `HostName` in the ssh configuration".to_owned()),
        ),
        Kind::Refused => (
            format!("{called} refused the connection"),
            Some(format!("is sshd running there, on this port? try `{hand}`")),
        ),
        Kind::NoRoute => (
            format!("there is no way to {called}"),
            Some("is the network or the VPN up, and the address right?".to_owned()),
        ),
        Kind::TimedOut => (
            format!("{called} did not answer in time"),
            Some(format!("is it up, and does a firewall let this machine in? try `{hand}`")),
        ),
        Kind::NoCommonAlgorithm => {
            (format!("ssh and {called} have no algorithm in common"), Some(format!("see `{}`", hand.replacen("ssh ", "ssh -v ", 1))))
        }
        Kind::Tunnel => (
            format!("the jump host does not get to {called}"),
            Some(format!("is the address right as the jump host sees it? try `{hand}`")),
        ),
        Kind::Dropped => (
            format!("{called} closed the connection before the login"),
            Some(
                "sshd drops connections when many come at once (`MaxStartups`), when it is out of resources, or by an access list"
                    .to_owned(),
            ),
        ),
        Kind::Other => (format!("ssh to {called} failed"), Some(format!("try `{hand}`"))),
    };
    let said = last_line(log, kind);
    let what = if said.is_empty() { what } else { format!("{what}: {said}") };
    ConnectError { what, help }
}

/// ssh's own words: the last line that is of the kind, else the last one. Of a connection that was merely closed, a
/// `ProxyCommand` may have more to say.
fn last_line(log: &str, kind: Kind) -> String {
    let of_kind = |line: &&str| KINDS.iter().any(|(words, named)| *named == kind && line.contains(words));
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    let more = if kind == Kind::Dropped { lines().rfind(|line| !of_kind(line)) } else { None };
    let line = more.or_else(|| lines().rfind(of_kind)).or_else(|| lines().next_back()).unwrap_or_default();
    clean(line.trim_start_matches('@').trim_end_matches('@').trim())
}

/// Where ssh found the key that does not match: ` (line 3 of known_hosts)`.
fn offending(log: &str) -> String {
    let place =
        log.lines().find_map(|line| line.trim().strip_prefix("Offending ")?.split_once(" in ").map(|(_, at)| at));
    match place.and_then(|place| place.trim().rsplit_once(':')) {
        Some((file, line)) => format!(" (line {} of `{}`)", clean(line), clean(file)),
        None => String::new(),
    }
}

/// The last thing that ssh said in the log at `path`, for a connection that was there and broke.
pub(super) fn last_words(path: &Path) -> Option<String> {
    let log = read_log(path);
    log.lines().map(str::trim).rfind(|line| !line.is_empty()).map(clean)
}

/// The log's text; nothing if there is none.
pub(super) fn read_log(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn target() -> Target {
        let host = Host {
            name: "web1".parse().unwrap(),
            address: "10.0.0.1".parse().unwrap(),
            roles: BTreeSet::new(),
            labels: BTreeMap::new(),
        };
        Target { host, spec: SshSpec { user: Some("deploy".into()), config: Some("my config".into()) } }
    }

    #[test]
    fn each_failure_of_ssh_is_told_apart() {
        for (log, what) in [
            (
                "No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.\r\nHost key verification failed.\r\n",
                "the host key of `web1` (10.0.0.1) is not known, so nothing was sent to it: Host key verification failed.",
            ),
            (
                "deploy@10.0.0.1: Permission denied (publickey).\r\n",
                "`web1` (10.0.0.1) refused the login: deploy@10.0.0.1: Permission denied (publickey).",
            ),
            (
                "ssh: connect to host bastion port 22: Connection refused\nkex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n",
                "the jump host of `web1` (10.0.0.1) refused the connection: ssh: connect to host bastion port 22: Connection refused",
            ),
            (
                "channel 0: open failed: connect failed: Name or service not known\nstdio forwarding failed\nkex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n",
                "the jump host does not get to `web1` (10.0.0.1): stdio forwarding failed",
            ),
            ("", "ssh to `web1` (10.0.0.1) failed"),
            ("evil\u{1b}[2J\n", "ssh to `web1` (10.0.0.1) failed: evil\\u{1b}[2J"),
        ] {
            assert_eq!(explain(log, &target()).what, what);
        }
    }

    #[test]
    fn the_help_can_be_typed() {
        let error = explain("Permission denied (publickey)", &target());
        assert_eq!(error.help.unwrap(), "it has to work without a password: try `ssh -F 'my config' deploy@10.0.0.1`");
    }

    #[test]
    fn only_what_was_dropped_at_random_is_tried_again() {
        let dropped =
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.1 port 22\n";
        assert!(is_worth_another_try(dropped));
        assert!(is_worth_another_try("kex_exchange_identification: read: Connection reset by peer\n"));
        assert!(!is_worth_another_try(&format!("ssh: connect to host b port 22: Connection refused\n{dropped}")));
        assert!(!is_worth_another_try(&format!("me@b: Permission denied (publickey).\n{dropped}")));
        assert!(!is_worth_another_try("Connection closed by 10.0.0.1 port 22\n"));
    }
}
