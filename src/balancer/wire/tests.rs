//! The parsers against answers of a real haproxy 2.6, whole and mutilated.

use super::*;

const INFO: &str = include_str!("../../../tests/haproxy/show-info.txt");
const STAT: &str = include_str!("../../../tests/haproxy/show-stat.txt");
const STATE: &str = include_str!("../../../tests/haproxy/show-servers-state.txt");
const STATE_DRAIN: &str = include_str!("../../../tests/haproxy/show-servers-state-drain.txt");
const STAT_UNCHECKED: &str = include_str!("../../../tests/haproxy/show-stat-unchecked.txt");
const STATE_UNCHECKED: &str = include_str!("../../../tests/haproxy/show-servers-state-unchecked.txt");
const BATCH: &str = include_str!("../../../tests/haproxy/batch.txt");

#[test]
fn info_says_who_answers() {
    let info = info(INFO).unwrap();
    assert_eq!((info.version.as_str(), info.stopping), ("2.6.12-1+deb12u4", false));
    assert!(info.pid > 0);
    assert_eq!(release(&info.version), Some((2, 6)));
    assert_eq!(release("3.1-dev2"), Some((3, 1)));
    assert_eq!(release("x"), None);
}

#[test]
fn the_admin_state_is_read_apart_from_the_checks() {
    let BackendState { servers, .. } = standings(STATE).unwrap().unwrap();
    let web1 =
        Standing { state: ServerState::Ready, up: true, weight: 1, checked: true, address: "127.0.0.1".to_owned() };
    assert_eq!(servers["web1"], web1);
    assert_eq!((servers["web2"].state, servers["web2"].up), (ServerState::Maint, false));
    let BackendState { servers, .. } = standings(STATE_DRAIN).unwrap().unwrap();
    assert_eq!((servers["web1"].state, servers["web1"].up), (ServerState::Drain, true));
    let BackendState { servers, .. } = standings(STATE_UNCHECKED).unwrap().unwrap();
    assert_eq!((servers["web2"].up, servers["web2"].checked), (true, false));
    // `disabled` in the file: 0x05.
    assert_eq!(servers["web3"].state, ServerState::Maint);
    // After `ready` haproxy keeps 0x04, and takes the server into traffic all the same.
    assert_eq!(admin_state(4), ServerState::Ready);
    assert_eq!(standings("Can't find backend.\n"), Ok(None));
}

#[test]
fn a_weight_of_zero_is_not_up() {
    let text = STATE.replace("127.0.0.1 2 0 1 1", "127.0.0.1 2 0 0 1");
    let web1 = &standings(&text).unwrap().unwrap().servers["web1"];
    assert!(!web1.up && web1.weight == 0);
}

#[test]
fn stat_is_read_by_the_names_of_its_columns() {
    let servers = stats(STAT).unwrap();
    assert_eq!((servers["web1"].status.as_str(), servers["web1"].sticky), ("UP", true));
    assert_eq!(servers["web1"].check, "L7OK");
    let unchecked = stats(STAT_UNCHECKED).unwrap();
    assert_eq!((unchecked["web2"].status.as_str(), unchecked["web2"].sticky), ("no check", false));
    let made_up =
        "# later,svname,qcur,scur,status,hrsp_2xx,hrsp_5xx,econ,last_chk,\nx,\"a,\"\"1\n\",3,4,DRAIN 1/3,7,2,1,,\n";
    let servers = stats(made_up).unwrap();
    let counters = Counters { total: 0, answers: 9, errors: 2, unconnected: 1, unanswered: 0 };
    assert_eq!((servers["a,\"1\n"].current, servers["a,\"1\n"].queued), (4, 3));
    assert_eq!(servers["a,\"1\n"].counters, counters);
}

#[test]
fn a_number_that_is_none_is_no_zero() {
    for value in ["", "-1", "1.5", "x", "99999999999999999999999"] {
        assert!(stats(&format!("# svname,qcur,scur,status\nweb1,0,{value},UP\n")).is_err(), "{value}");
    }
    assert!(stats("# svname,qcur,status\nweb1,0,UP\n").is_err());
    assert!(stats("No such proxy.\n").is_err());
}

#[test]
fn answers_on_one_connection_are_told_apart() {
    let parts = answers(BATCH, 4).unwrap();
    assert_eq!(parts[..3], ["", "No such server.\n", "admin\n"]);
    assert!(standings(parts[3]).unwrap().is_some());
    assert!(answers(BATCH, 3).is_err());
    assert!(answers(&BATCH[..BATCH.len() - 1], 4).is_err());
}

/// Cuts the answers everywhere and turns bytes into others; the only claim is that nothing panics and that a text that
/// was cut is never taken for a whole one.
#[test]
fn mutilated_answers_are_errors_or_values_but_never_panics() {
    // A linear congruential generator (Knuth's MMIX constants): the same mutations on every run.
    let mut seed = 7_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap_or(0) % below
    };
    for text in [INFO, STAT, STATE, STATE_UNCHECKED, STAT_UNCHECKED, BATCH] {
        for end in 0..text.len() {
            assert!(answers(&text[..end], if text == BATCH { 4 } else { 1 }).is_err());
            read_all(&text[..end]);
        }
        for _ in 0..500 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..=random(8) {
                let at = random(bytes.len());
                let odd = b"\0\n,\"# -:9\xff\x1b";
                match random(3) {
                    0 => bytes[at] = odd[random(odd.len())],
                    1 => drop(bytes.drain(at..(at + random(40)).min(bytes.len()))),
                    _ => bytes.insert(at, odd[random(odd.len())]),
                }
            }
            read_all(&String::from_utf8_lossy(&bytes));
        }
    }
}

fn read_all(text: &str) {
    let _ = (info(text), standings(text), stats(text), answers(text, 2), release(text));
    assert!(!excerpt(text).chars().any(char::is_control));
}
