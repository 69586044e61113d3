//! Putting a host back.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shipit::balancer::BalancerError;
use shipit::model::{ServerState, Until};
use shipit::transport::Progress;

use crate::rig::{Rig, SOON, Setup, Words, eventually};
use crate::{TWO, hammer};

#[tokio::test]
async fn a_server_in_maint_takes_traffic_only_when_its_checks_pass() {
    let rig = Rig::start(Setup { levels: TWO, ..Setup::default() }).await;
    rig.runtime(1, "set server app/web1 state maint").await;
    rig.runtime(2, "set server app/web1 state maint").await;
    rig.web1.page.healthy.store(false, SeqCst);
    let (client, failed) = hammer(&rig, 1, "");
    let (balancers, words) = (rig.balancers(), Words::default());
    let progress = words.progress();
    let before = rig.web1.requests();
    let recover = async {
        words.wait_for("lb1 says DOWN").await;
        assert_eq!(rig.states().await, [ServerState::Drain; 2]);
        assert_eq!(rig.web1.requests(), before);
        rig.web1.page.healthy.store(true, SeqCst);
    };
    let (enabled, ()) = tokio::join!(balancers.enable(rig.host("web1"), Until::Up, SOON, &progress), recover);
    enabled.unwrap();
    let facts = balancers.observe().await;
    assert!(facts.iter().all(|facts| facts.servers["web1"].status == "UP"), "{facts:?}");
    client.abort();
    assert_eq!(failed.load(SeqCst), 0);
}

#[tokio::test]
async fn a_server_whose_checks_fail_is_not_made_ready_unless_that_is_what_is_asked() {
    let rig = Rig::start(Setup::default()).await;
    rig.runtime(1, "set server app/web1 state drain").await;
    rig.web1.page.healthy.store(false, SeqCst);
    eventually("haproxy notices", async || rig.runtime(1, "show stat app 4 -1").await.contains(",DOWN,")).await;
    let (balancers, host) = (rig.balancers(), rig.host("web1"));
    let limit = Duration::from_millis(300);
    let fault = balancers.enable(host, Until::Up, limit, &Progress::unheard()).await.unwrap_err();
    assert!(matches!(&fault, BalancerError::NotUp { status, .. } if status.starts_with("DOWN, L7STS")), "{fault:?}");
    assert_eq!(rig.states().await, [ServerState::Drain]);
    balancers.enable(host, Until::Ready, limit, &Progress::unheard()).await.unwrap();
    assert_eq!(rig.states().await, [ServerState::Ready]);
}

#[tokio::test]
async fn a_server_that_is_put_back_as_it_was_is_asked_before_it_gets_traffic() {
    // So many that haproxy does not notice by itself meanwhile.
    let rig = Rig::start(Setup { server: "check inter 1s fall 200 rise 2", ..Setup::default() }).await;
    rig.runtime(1, "set server app/web1 state drain").await;
    rig.web1.page.healthy.store(false, SeqCst);
    rig.web1.page.status.store(503, SeqCst);
    let (client, failed) = hammer(&rig, 1, "");
    rig.balancers().enable(rig.host("web1"), Until::Ready, SOON, &Progress::unheard()).await.unwrap();
    assert_eq!(rig.states().await, [ServerState::Ready]);
    let before = rig.web2.requests();
    eventually("users are served", async || rig.web2.requests() > before + 20).await;
    client.abort();
    assert_eq!(failed.load(SeqCst), 0);
}
