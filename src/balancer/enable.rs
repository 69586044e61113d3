//! Putting a host back into all balancers.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::model::{Host, ServerState, Until, friendly};
use crate::transport::{Progress, Session};

use super::drain::{FIRST_PAUSE, LONGEST_PAUSE};
use super::error::BalancerError;
use super::haproxy::Server;
use super::leg::{Leg, Seen, order_all};
use super::set::{Balancers, Held, all, looks};

/// The stages on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The checks pass while the server drains.
    Certified,
    /// The server takes traffic.
    Up,
}

impl<S: Session> Balancers<S> {
    /// Puts `host` back into every balancer that serves it, within `deadline`.
    ///
    /// Looks first: what takes traffic already is left so. `ready` would put a server that is in `maint` into traffic
    /// before its first check, even if nothing listens there (measured), so with [`Until::Up`] it is set to `drain`,
    /// which is checked, and is made ready once haproxy says exactly `DRAIN`. `DRAIN 1/3` is not checked enough, and
    /// `DOWN` fails. A server that was in `drain` all along and was restarted faster than haproxy's checks would notice
    /// says `DRAIN` at once; that is fine, as the new process has passed the recipe's health check.
    ///
    /// A failure leaves the servers as they are by then: none of them was made to take less traffic. A balancer that does not
    /// answer does not keep the host out of the others.
    pub async fn enable(
        &self,
        host: &Host,
        until: Until,
        deadline: Duration,
        progress: &Progress,
    ) -> Result<(), BalancerError> {
        let began = Instant::now();
        let end = began + deadline;
        let held = self.held(host)?;
        if until == Until::Ready {
            // Each for itself: a balancer that can't be reached must not keep the host out of the others.
            return all(join_all(held.into_iter().map(|held| put_back(held, end))).await).map(drop);
        }
        let (mut legs, silent) = legs_in_reach(held).await?;
        order_all(&mut legs, ServerState::Drain, |leg| leg.before == ServerState::Maint).await?;
        wait(&mut legs, Stage::Certified, began, end, progress).await?;
        // Also where a reload has made it so meanwhile: that costs one round.
        order_all(&mut legs, ServerState::Ready, |leg| leg.before != ServerState::Ready).await?;
        wait(&mut legs, Stage::Up, began, end, progress).await?;
        BalancerError::of(silent).map_or(Ok(()), Err)
    }
}

/// The legs of the balancers that answer, and why the others do not. One that can't be reached must not keep the host out
/// of the others: it is told of in the end.
async fn legs_in_reach<S: Session>(
    held: Vec<Held<'_, S>>,
) -> Result<(Vec<Leg<'_, S>>, Vec<BalancerError>), BalancerError> {
    let looked = join_all(held.into_iter().map(|held| async { (held.haproxy.look().await, held) })).await;
    let (mut legs, mut silent) = (Vec::new(), Vec::new());
    for (look, held) in looked {
        match look {
            Ok(look) => legs.push(Leg::new(held, &look)?),
            Err(error) if error.is_silence() => silent.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok((legs, silent))
}

/// Waits until each server has come to `stage`.
async fn wait<S: Session>(
    legs: &mut [Leg<'_, S>],
    stage: Stage,
    began: Instant,
    end: Instant,
    progress: &Progress,
) -> Result<(), BalancerError> {
    let mut pause = FIRST_PAUSE;
    let mut said = String::new();
    loop {
        let seen = looks(legs.iter().map(|leg| &leg.held)).await?;
        let mut late = Vec::new();
        for (leg, look) in legs.iter_mut().zip(&seen) {
            leg.meet(look);
            let server = leg.server(look)?;
            // A reload in between has made the server ready by itself; before `ready`, that is as good.
            let there = match stage {
                Stage::Certified => server.standing.state == ServerState::Ready || certified(server),
                Stage::Up => leg.hold(look).await? == Seen::Held && up(server),
            };
            if !there {
                let target = leg.held.target.clone();
                late.push(BalancerError::NotUp { target, status: server.words(), waited: began.elapsed() });
            }
        }
        let now = Instant::now();
        match late.first() {
            None => return Ok(()),
            Some(_) if now >= end => return BalancerError::of(late).map_or(Ok(()), Err),
            Some(BalancerError::NotUp { target, status, .. }) => {
                let left = Duration::from_secs((end - now).as_secs());
                let word = format!("{} says {status}, {} left", target.key.host, friendly(left));
                if word != said {
                    progress.say(&word);
                    said = word;
                }
            }
            Some(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

/// Asks for a server to take traffic as soon as its checks pass, without waiting for them, and reads back that it is so.
///
/// That haproxy calls the server well says nothing of the app that is there now: where nothing was before it, nobody has asked
/// it, and a reload by somebody else has all servers up until their checks have failed.
async fn put_back<S: Session>(held: Held<'_, S>, end: Instant) -> Result<(), BalancerError> {
    let look = held.haproxy.look().await?;
    let mut leg = Leg::new(held, &look)?;
    if leg.before != ServerState::Ready {
        leg.wanted = ServerState::Ready;
        leg.held.haproxy.make_ready(&leg.held.target, leg.server(&look)?.standing.checked).await?;
    }
    loop {
        let look = leg.held.haproxy.look().await?;
        leg.meet(&look);
        if leg.hold(&look).await? == Seen::Held || Instant::now() >= end {
            return Ok(());
        }
        sleep(FIRST_PAUSE).await;
    }
}

/// Whether haproxy's checks of a draining server pass, all that it asks for.
fn certified(server: &Server) -> bool {
    server.standing.state == ServerState::Drain && (!server.standing.checked || server.stat.status == "DRAIN")
}

/// Whether the server takes traffic and has passed all the checks that haproxy asks for.
fn up(server: &Server) -> bool {
    matches!(server.stat.status.as_str(), "UP" | "no check")
}
