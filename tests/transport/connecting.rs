//! Hosts that can't be reached, or must not be.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use shipit::model::SshSpec;
use shipit::transport::{ConnectError, Limits, OpenSsh, Progress, Script, Session, Transport};

use super::sshd::{Sshd, host};

async fn refused(ssh: OpenSsh) -> ConnectError {
    let error = ssh.connect(&host("web1")).await.map(drop).unwrap_err();
    ssh.close().await;
    error
}

fn logins(sshd: &Sshd) -> usize {
    fs::read_to_string(sshd.path("sshd.log")).unwrap().matches("Accepted publickey").count()
}

#[tokio::test]
async fn an_unknown_host_key_is_refused_and_nothing_sent() {
    let sshd = Sshd::start();
    fs::write(sshd.path("known"), "").unwrap();
    let error = refused(sshd.transport()).await;
    assert!(error.what.starts_with("the host key of `web1` is not known, so nothing was sent to it"), "{error}");
    let help = error.help.unwrap();
    assert!(help.contains(&format!("`ssh -F {} web1`", sshd.path("client").display())), "{help}");
    assert_eq!(logins(&sshd), 0);
    assert_eq!(fs::read_to_string(sshd.path("known")).unwrap(), "", "nor is it made known");
}

#[tokio::test]
async fn a_changed_host_key_is_refused_even_if_the_user_is_careless() {
    let sshd = Sshd::start();
    sshd.knows(&sshd.path("other.pub"));
    sshd.client_config("login", "StrictHostKeyChecking no");
    let error = refused(sshd.transport()).await;
    assert!(error.what.starts_with("the host key of `web1` is not the known one"), "{error}");
    let help = error.help.unwrap();
    assert!(help.contains(&format!("(line 1 of `{}`)", sshd.path("known").display())), "{help}");
    assert_eq!(logins(&sshd), 0);
}

#[tokio::test]
async fn a_key_that_the_host_does_not_take_is_told() {
    let sshd = Sshd::start();
    sshd.client_config("other", "");
    let error = refused(sshd.transport()).await;
    assert!(error.what.starts_with("`web1` refused the login: "), "{error}");
    assert!(error.what.contains("Permission denied (publickey)"), "{error}");
}

#[tokio::test]
async fn a_closed_port_an_unknown_name_and_a_wrong_configuration_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("client");
    let spec = SshSpec { user: None, config: Some(config.clone()) };
    for (text, what) in [
        ("HostName 127.0.0.1\nPort 1\n", "`web1` refused the connection: "),
        ("HostName nowhere.invalid\n", "`web1` can't be found: "),
        ("Nonsense 1\n", "ssh can't use its configuration: "),
        (
            "ProxyCommand sh -c 'echo no such bastion >&2; exit 1'\n",
            "the jump host of `web1` closed the connection before the login: no such bastion",
        ),
    ] {
        fs::write(&config, text).unwrap();
        let error = refused(OpenSsh::start(&spec).unwrap()).await;
        assert!(error.what.starts_with(what), "{error}");
        assert!(!error.what.contains("/shipit-"), "our own files are nothing to the user: {error}");
    }
}

#[tokio::test]
async fn a_silent_server_and_one_that_stalls_are_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = dir.path().join("client");
    fs::write(&config, format!("HostName 127.0.0.1\nPort {port}\n")).unwrap();
    let spec = SshSpec { user: None, config: Some(config) };
    let second = Duration::from_secs(1);

    let began = Instant::now();
    let limits = Limits { tcp: second, ..Limits::default() };
    let error = refused(OpenSsh::start_within(&spec, limits).unwrap()).await;
    assert!(error.what.starts_with("`web1` did not answer in time: "), "{error}");

    // It says what it is, which is the end of `ConnectTimeout`, and then nothing.
    let stalling = std::thread::spawn(move || {
        let mut streams = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut stream, b"SSH-2.0-Stalled\r\n").ok();
            streams.push(stream);
        }
        std::thread::sleep(Duration::from_secs(3));
    });
    let limits = Limits { tcp: second, connect: 2 * second, ..Limits::default() };
    let error = refused(OpenSsh::start_within(&spec, limits).unwrap()).await;
    assert_eq!(error.what, "`web1` did not answer in time: timed out: no session within 2s");
    assert!(began.elapsed() < Duration::from_secs(6));
    stalling.join().unwrap();
}

/// A port that closes the first `drops` connections at once, as sshd does beyond its `MaxStartups`, and then leads to `to`.
fn dropping(drops: usize, to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten().skip(drops) {
            let other = TcpStream::connect(("127.0.0.1", to)).unwrap();
            for (mut from, mut into) in [(stream.try_clone().unwrap(), other.try_clone().unwrap()), (other, stream)] {
                std::thread::spawn(move || {
                    std::io::copy(&mut from, &mut into).ok();
                    into.shutdown(std::net::Shutdown::Write).ok();
                });
            }
        }
    });
    port
}

#[tokio::test]
async fn a_connection_that_sshd_drops_at_random_is_tried_three_times() {
    let sshd = Sshd::start();
    for (drops, works) in [(2, true), (3, false)] {
        let more = format!("Port {}\nHostKeyAlias [127.0.0.1]:{}\n", dropping(drops, sshd.port), sshd.port);
        sshd.client_config("login", &more);
        let ssh = sshd.transport();
        match ssh.connect(&host("web1")).await {
            Ok(session) => {
                assert!(works);
                session.close().await;
            }
            Err(error) => {
                assert!(!works, "{error}");
                assert!(error.what.starts_with("`web1` closed the connection before the login: "), "{error}");
            }
        }
        ssh.close().await;
    }
}

#[tokio::test]
async fn a_jump_host_is_used_and_held_to_the_same_rules() {
    let sshd = Sshd::start();
    let jump = "Host web*\n  ProxyJump gate\n";
    sshd.client_config("login", jump);
    // A checkout in CI is often writable by the group, which ssh does not take in an included file.
    fs::set_permissions(sshd.path("client"), fs::Permissions::from_mode(0o664)).unwrap();
    let ssh = sshd.transport();
    let sessions = futures::future::join_all((0..12).map(|n| host(&format!("web{n}"))).map(|host| {
        let ssh = &ssh;
        async move { ssh.connect(&host).await.unwrap() }
    }))
    .await;
    let got =
        sessions[0].run(&Script::new("echo through"), Duration::from_secs(5), &Progress::unheard()).await.unwrap();
    assert_eq!(got.stdout, "through\n");
    futures::future::join_all(sessions.into_iter().map(Session::close)).await;
    ssh.close().await;

    fs::write(sshd.path("known"), "").unwrap();
    let error = refused(sshd.transport()).await;
    assert!(error.what.contains("the host key of the jump host of `web1` is not known"), "{error}");
}

#[tokio::test]
async fn the_inventorys_user_is_the_one_that_logs_in() {
    let sshd = Sshd::start();
    let me = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned();
    sshd.client_config("login", "User somebody-else");
    let spec = SshSpec { user: Some(me.clone()), ..sshd.spec() };
    let ssh = OpenSsh::start(&spec).unwrap();
    let session = ssh.connect(&host("web1")).await.unwrap();
    let got = session.run(&Script::new("id -un"), Duration::from_secs(5), &Progress::unheard()).await.unwrap();
    assert_eq!(got.stdout.trim(), me);
    session.close().await;
    ssh.close().await;
}
