//! The load client is the judge of every deploy. Here it is judged: by servers that lose requests in one known way each.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use lab::load::{Load, LossKind, Mix, Report};

const GOOD: &str = "HTTP/1.1 200 OK\r\nx-release: a\r\ncontent-length: 10\r\n\r\nrelease a\n";

/// Sends requests for a moment to a server that treats each connection as told.
fn load_on(treat: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let treat = treat.clone();
            thread::spawn(move || treat(stream));
        }
    });
    load_for_a_moment(address)
}

fn load_for_a_moment(address: SocketAddr) -> Report {
    let none = Mix { keep_alive: 0, one_shot: 0, post: 0, slow: 0, ..Mix::default() };
    let load = Load::start_mix(vec![address], Mix { keep_alive: 2, ..none }).unwrap();
    thread::sleep(Duration::from_millis(300));
    load.stop().unwrap()
}

/// Reads a request; `false` if the client closed.
fn request_comes(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    stream.read(&mut buffer).is_ok_and(|read| read > 0)
}

fn answer_all(mut stream: TcpStream, answer: &str) {
    while request_comes(&mut stream) && stream.write_all(answer.as_bytes()).is_ok() {}
}

fn assert_only(report: &Report, kind: LossKind) {
    assert!(report.failed() > 0, "nothing was lost:\n{report}");
    assert_eq!(report.failed(), report.sent(), "{report}");
    assert!(report.losses.iter().all(|loss| loss.kind == kind), "{report}");
}

#[test]
fn good_answers_are_no_losses() {
    let report = load_on(|stream| answer_all(stream, GOOD));
    assert!(report.sent() > 5, "{report}");
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.releases["a"], report.sent() as u64);
}

#[test]
fn nobody_listening_is_a_failed_connection() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_only(&load_for_a_moment(address), LossKind::Connect);
}

#[test]
fn a_request_that_is_read_and_not_answered_is_closed() {
    let report = load_on(|mut stream| {
        request_comes(&mut stream);
    });
    assert_only(&report, LossKind::Closed);
}

#[test]
fn a_close_with_the_request_unread_is_a_reset() {
    // What the kernel sends for a socket that is closed while data waits in it.
    let report = load_on(|mut stream| {
        let _ = stream.read(&mut [0]);
    });
    assert_only(&report, LossKind::Reset);
}

#[test]
fn a_503_is_a_server_error() {
    let report = load_on(|stream| answer_all(stream, "HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n"));
    assert_only(&report, LossKind::ServerError);
}

#[test]
fn a_404_is_unexpected() {
    let report = load_on(|stream| answer_all(stream, "HTTP/1.1 404 Gone\r\ncontent-length: 0\r\n\r\n"));
    assert_only(&report, LossKind::OtherStatus);
}

#[test]
fn an_answer_cut_short_is_a_wrong_body() {
    let report = load_on(|mut stream| {
        request_comes(&mut stream);
        let _ = stream.write_all(&GOOD.as_bytes()[..GOOD.len() - 3]);
    });
    assert_only(&report, LossKind::WrongBody);
}

#[test]
fn the_answer_to_another_request_is_a_wrong_body() {
    let report = load_on(|stream| answer_all(stream, &GOOD.replace("release a", "release b")));
    assert_only(&report, LossKind::WrongBody);
}

#[test]
fn a_connection_closed_while_idle_loses_nothing() {
    // The answer and the close, without a word about it: legal, as long as no request is on its way.
    let report = load_on(|mut stream| {
        request_comes(&mut stream);
        let _ = stream.write_all(GOOD.as_bytes());
    });
    assert!(report.sent() > 5, "{report}");
    assert_eq!(report.failed(), 0, "{report}");
}

#[test]
fn an_announced_close_loses_nothing() {
    let report = load_on(|mut stream| {
        request_comes(&mut stream);
        let _ = stream.write_all(GOOD.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n").as_bytes());
    });
    assert!(report.sent() > 5, "{report}");
    assert_eq!(report.failed(), 0, "{report}");
}
