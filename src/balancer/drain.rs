//! Taking a host out of all balancers, and waiting for its last request.

use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::model::{DrainSpec, Host, Leftover, ServerState, friendly};
use crate::transport::{Progress, Session};

use super::error::{BalancerError, requests};
use super::leg::{Leg, Seen, order_all};
use super::set::{Balancers, all, looks};

/// The pause between polls: a quick app is idle within one or two of the first, and five looks a second cost a busy
/// haproxy nothing that can be measured.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(25);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// So long, sticky clients may end what they do at a draining server before `maint` sends them elsewhere.
const STICKY: Duration = Duration::from_secs(2);

/// A connection that was cut is gone from haproxy's count as soon as its task has run, within milliseconds.
const GRACE: Duration = Duration::from_secs(5);

/// So many polls in a row must find nothing: one could fall between two requests of one connection.
const IDLE_POLLS: u32 = 2;

/// A host that is out of all balancers, with nothing in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Requests that were cut off because they outlived the drain's time.
    pub cut: u64,
    /// Balancers whose old process, left by a reload, was still there and may have had more of them.
    pub old_processes: usize,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cut {
            0 => f.write_str("idle"),
            cut => write!(f, "{} cut off", requests(cut)),
        }
    }
}

/// A drain under way.
struct Drain<'a, S> {
    legs: Vec<Leg<'a, S>>,
    watches: Vec<Watch>,
    spec: DrainSpec,
    began: Instant,
    /// Servers that take traffic are to be taken out, and not only those waited for that are.
    takes_out: bool,
}

/// What a drain remembers of one leg besides its state.
#[derive(Clone, Copy)]
struct Watch {
    /// Requests given to the server when it was first seen draining with no queue.
    total: Option<u64>,
    /// Clients come to it although it drains.
    sticky: bool,
    /// A process from before a reload may carry requests to it.
    old_process: bool,
    /// Requests in flight or waiting.
    busy: u64,
}

/// What one look at all balancers found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// An order was given, which has not been read back.
    Ordered,
    /// Requests are in flight or waiting.
    Busy,
    /// None is, but an old process of a haproxy may have some.
    OldProcess,
    /// None is.
    Idle,
}

impl<S: Session> Balancers<S> {
    /// Takes `host` out of every balancer that serves it and waits until no request is in flight.
    ///
    /// Looks first: what is drained already is left so. On any failure each server is put back as it was found.
    /// A host that no balancer serves is drained at once.
    pub async fn drain(&self, host: &Host, spec: DrainSpec, progress: &Progress) -> Result<Drained, BalancerError> {
        self.empty(host, spec, progress, true).await
    }

    /// The same for a host that somebody else has taken out: a server that takes traffic, such as after a reload, is an error, since
    /// who takes it out then is the one to put it back.
    pub async fn await_last(
        &self,
        host: &Host,
        spec: DrainSpec,
        progress: &Progress,
    ) -> Result<Drained, BalancerError> {
        self.empty(host, spec, progress, false).await
    }

    async fn empty(
        &self,
        host: &Host,
        spec: DrainSpec,
        progress: &Progress,
        takes_out: bool,
    ) -> Result<Drained, BalancerError> {
        let began = Instant::now();
        let held = self.held(host)?;
        let first = looks(held.iter()).await?;
        let legs = held.into_iter().zip(&first).map(|(held, look)| Leg::new(held, look));
        let legs = all(legs.collect())?;
        // That an old process is there is ruled out by the first looks, mostly by the new one's age.
        let watch = Watch { total: None, sticky: false, old_process: true, busy: 0 };
        let watches = vec![watch; legs.len()];
        let mut drain = Drain { legs, watches, spec, began, takes_out };
        match drain.run(progress).await {
            Ok(drained) => Ok(drained),
            Err(cause) => Err(match drain.undo().await {
                Ok(()) => cause,
                Err(undo) => BalancerError::NotRestored { cause: Box::new(cause), undo: Box::new(undo) },
            }),
        }
    }
}

impl<S: Session> Drain<'_, S> {
    async fn run(&mut self, progress: &Progress) -> Result<Drained, BalancerError> {
        let takes_out = self.takes_out;
        order_all(&mut self.legs, ServerState::Drain, |leg| takes_out && leg.before == ServerState::Ready).await?;
        let mut end = self.began + self.spec.timeout;
        let mut drained = Drained::default();
        let mut cutting = false;
        let mut pause = FIRST_PAUSE;
        let mut idle_polls = 0;
        let mut said = String::new();
        loop {
            let mut found = self.poll(progress).await?;
            if found == Found::Idle && !self.old_processes_gone().await? {
                found = Found::OldProcess;
            }
            idle_polls = if found == Found::Idle { idle_polls + 1 } else { 0 };
            if idle_polls >= IDLE_POLLS {
                break;
            }
            match found {
                Found::Idle => {}
                // An order that was given again has yet to be read back, however late it is.
                Found::Ordered if Instant::now() < end + GRACE => {}
                _ if Instant::now() < end => {
                    let word = self.word(found, end - Instant::now());
                    if word != said && !cutting {
                        progress.say(&word);
                        said = word;
                    }
                }
                Found::OldProcess if self.spec.leftover == Leftover::Cut => {
                    drained.old_processes = self.watches.iter().filter(|watch| watch.old_process).count();
                    break;
                }
                Found::Busy if self.spec.leftover == Leftover::Cut && !cutting => {
                    drained.cut = self.cut().await?;
                    progress.say(&format!("{} cut off", requests(drained.cut)));
                    cutting = true;
                    end = Instant::now() + GRACE;
                }
                _ => return Err(self.overdue()),
            }
            pause = if found == Found::Idle { FIRST_PAUSE } else { (pause * 3 / 2).min(LONGEST_PAUSE) };
            sleep(pause).await;
        }
        drained.took = self.began.elapsed();
        Ok(drained)
    }

    /// Looks at all balancers, and gives orders again where that is needed.
    async fn poll(&mut self, progress: &Progress) -> Result<Found, BalancerError> {
        let seen = looks(self.legs.iter().map(|leg| &leg.held)).await?;
        let waited = self.began.elapsed();
        let mut ordered = false;
        for ((leg, watch), look) in self.legs.iter_mut().zip(&mut self.watches).zip(&seen) {
            if leg.meet(look) {
                progress.say(&format!("haproxy on {} was reloaded: draining again", leg.held.haproxy.host));
                *watch = Watch { total: None, old_process: true, ..*watch };
                ordered = true;
            }
            // What a process older than this one has in flight is by now older than the longest request.
            watch.old_process &= look.info.uptime < self.spec.timeout.as_secs();
            if !self.takes_out && leg.server(look)?.standing.state == ServerState::Ready {
                return Err(leg.not_held(ServerState::Ready));
            }
            if leg.hold(look).await? == Seen::Ordered {
                ordered = true;
                continue;
            }
            let server = leg.server(look)?;
            watch.busy = server.busy();
            let total = server.stat.counters.total;
            if watch.total.is_none() && server.stat.queued == 0 {
                watch.total = Some(total);
            }
            // A cookie can be seen. Stick tables can't, but their clients can: a draining server gets no others.
            watch.sticky |= server.stat.sticky || watch.total.is_some_and(|before| total > before);
            let out = server.standing.state == ServerState::Maint;
            if watch.sticky && !out && (watch.busy == 0 || waited >= STICKY) {
                leg.order(ServerState::Maint).await?;
                ordered = true;
            }
        }
        Ok(match self.busy() {
            _ if ordered => Found::Ordered,
            0 => Found::Idle,
            _ => Found::Busy,
        })
    }

    /// Whether no haproxy has an old process that may carry requests to the server; asked only when all else is idle.
    async fn old_processes_gone(&mut self) -> Result<bool, BalancerError> {
        let suspects = self.legs.iter().zip(&mut self.watches).filter(|(_, watch)| watch.old_process);
        let ask = suspects.map(|(leg, watch)| async move {
            let leaving = leg.held.haproxy.leaving(leg.pid(), &leg.old).await?;
            // Where the host lets us see no processes, only time tells.
            watch.old_process = leaving.is_none_or(|leaving| !leaving.is_empty());
            Ok(!watch.old_process)
        });
        Ok(all(join_all(ask).await)?.into_iter().all(|gone| gone))
    }

    /// Closes what is left, and tells how much that was.
    async fn cut(&mut self) -> Result<u64, BalancerError> {
        let busy = self.busy();
        let ask = self.legs.iter_mut().zip(&self.watches).filter(|(_, watch)| watch.busy > 0).map(
            |(leg, watch)| async move {
                if watch.sticky {
                    leg.order(ServerState::Maint).await?;
                }
                leg.held.haproxy.cut(&leg.held.target).await
            },
        );
        all(join_all(ask).await)?;
        Ok(busy)
    }

    /// Puts every server back as it was found.
    async fn undo(&mut self) -> Result<(), BalancerError> {
        let back = self.legs.iter_mut().filter(|leg| leg.wanted != leg.before).map(|leg| leg.order(leg.before));
        all(join_all(back).await)?;
        Ok(())
    }

    fn busy(&self) -> u64 {
        self.watches.iter().map(|watch| watch.busy).sum()
    }

    /// Why the drain is not over.
    fn overdue(&self) -> BalancerError {
        let waited = self.began.elapsed();
        let late = self.legs.iter().zip(&self.watches).filter_map(|(leg, watch)| {
            let target = leg.held.target.clone();
            match *watch {
                Watch { busy: 1.., .. } => Some(BalancerError::StillBusy { target, left: watch.busy, waited }),
                Watch { old_process: true, .. } => Some(BalancerError::OldProcess { target, waited }),
                Watch { .. } => None,
            }
        });
        // With nothing to wait for, orders were given again and again: a reload after every reload.
        BalancerError::of(late.collect()).unwrap_or_else(|| {
            let late =
                self.legs.iter().map(|leg| BalancerError::OldProcess { target: leg.held.target.clone(), waited });
            BalancerError::Several(late.collect())
        })
    }

    /// What is being waited for.
    fn word(&self, found: Found, left: Duration) -> String {
        let what = match found {
            Found::OldProcess => "an old process of haproxy is not gone".to_owned(),
            _ => format!("{} in flight", requests(self.busy())),
        };
        format!("{what}, {} left", friendly(Duration::from_secs(left.as_secs())))
    }
}
