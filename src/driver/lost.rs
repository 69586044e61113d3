//! Hosts to which the line broke for good while they were out of the balancers.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;

use super::fleet::{Fleet, Out};
use crate::model::{Host, Until};
use crate::transport::{Progress, Transport};

/// A host is lost once the line has been gone for as long as its guard waits before it acts. This is for what that then does: to ask the
/// app how it is, and to restart it, if that does not take long. Until it is up, haproxy's checks say so.
const UNSEEN: Duration = Duration::from_secs(5);

/// As long as haproxy's checks may take to see an app: two or three of them, two seconds apart by default.
const CHECKED: Duration = Duration::from_secs(15);

impl<T: Transport> Fleet<T> {
    /// Puts the lost hosts back of which haproxy's checks say that their app is up: their own guards have settled what it runs. Those
    /// that are down stay out.
    pub async fn bring_lost_back(&self) {
        let lost = self.lost.lock().await.clone();
        let is_out = self.taken_out.lock().await.clone();
        let lost: Vec<&Host> = lost
            .iter()
            .filter(|name| is_out.get(*name).is_some_and(|out| matches!(out, Out::Ours { .. })))
            .filter_map(|name| self.inventory.host(name))
            .collect();
        if lost.is_empty() {
            return;
        }
        sleep(UNSEEN).await;
        join_all(lost.into_iter().map(|host| async move {
            // Whether that went well is seen by who serves in the end.
            let _ = self.enable(host, Until::Up, CHECKED, &Progress::unheard()).await;
        }))
        .await;
    }
}
