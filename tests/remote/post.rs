//! What a check says of the place where a guard is to stand.

use shipit::balancer::ASK;
use shipit::remote::{check_post, read_post};
use shipit::transport::Output;

use super::rig::{Rig, shells};

#[test]
fn a_check_tells_what_would_keep_a_guard_from_its_post() {
    for shell in shells() {
        let rig = Rig::new(&shell);
        let told = |ask: &str| {
            let done = rig.run(&check_post("/run/admin.sock", ask));
            done.ok();
            read_post(&Output { stdout: done.stdout, ..Output::default() })
        };
        assert_eq!(told("echo way"), [], "{}", shell.name);
        let nobody = told(ASK);
        let [problem] = &nobody[..] else { panic!("{}: {nobody:?}", shell.name) };
        assert!(problem.what.contains("no way to haproxy's socket /run/admin.sock: socat: "), "{problem:?}");
        assert!(problem.help.as_ref().is_some_and(|help| help.starts_with("install socat")), "{problem:?}");
    }
}
