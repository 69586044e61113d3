//! The simulated fleet as the driver sees it: [`World`] over lines that break.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shipit::driver::{Deed, World};
use shipit::model::{Failure, HostName, StepResult, View};
use shipit::plan::Action;
use shipit::transport::Progress;
use tokio::sync::oneshot;

use super::fault::Fault;
use super::fleet::Fleet;
use super::sabotage::Sabotage;
use super::script::{self, Said};
use super::state::{Run, State};

/// The line broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

/// What becomes of one command on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Holds,
    Fails,
    LostBefore,
    LostAfter,
    HangsBefore,
    HangsAfter,
}

/// The waits before a command is sent again whose answer was lost.
const SETTLE: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];

/// One run's hold on the fleet.
pub(super) struct Runner {
    pub fleet: Arc<Fleet>,
    pub run: Run,
    pub places: BTreeMap<HostName, usize>,
    /// The hosts that this run has taken out of the balancers, and whether they are out by its hand now.
    pub taken_out: Mutex<BTreeMap<usize, bool>>,
    /// The hosts that gave no answer when they were last asked.
    lost: Mutex<BTreeSet<usize>>,
}

impl Runner {
    pub(super) fn new(fleet: &Arc<Fleet>, run: Run) -> Self {
        let hosts = fleet.setup.inventory.with_role(&fleet.setup.recipe.app.role);
        let places = hosts.enumerate().map(|(place, host)| (host.name.clone(), place)).collect();
        Self { fleet: fleet.clone(), run, places, taken_out: Mutex::default(), lost: Mutex::default() }
    }

    /// A point at which the runner may be killed; whoever is dead does nothing more.
    pub(super) async fn point(&self) {
        let lives = self.fleet.with(|state| {
            state.point(self.run);
            !state.runs[self.run].is_over
        });
        if !lives {
            pending::<()>().await;
        }
    }

    /// Waits until it is clear that there will be no answer.
    async fn silence<T>(&self) -> Result<T, Lost> {
        self.fleet.pause(2000, 7000).await;
        Err(Lost)
    }

    /// Asks a station something, or tells it, within one exchange.
    pub(super) async fn ask<T>(&self, station: usize, work: impl FnOnce(&mut State) -> T) -> Result<T, Lost> {
        self.point().await;
        self.fleet.pause(2, 20).await;
        let silent = self.fleet.with(|state| {
            let silent = station >= state.hosts.len() && state.strikes(Fault::BalancerSilent, 10);
            if silent {
                state.fired(Fault::BalancerSilent, station, String::new);
            }
            silent || !state.reaches(station)
        });
        if silent {
            return self.silence().await;
        }
        let answer = self.fleet.with(work);
        self.point().await;
        Ok(answer)
    }

    /// Has a host do something, and does it again where the answer was lost.
    async fn settled(&self, host: usize, deed: &Deed) -> Result<Said, Lost> {
        let knows_lost = self.lost.lock().is_ok_and(|lost| lost.contains(&host));
        let waits = if knows_lost || matches!(deed.action, Action::Task { .. }) { &[][..] } else { &SETTLE };
        let mut answer = self.send(host, deed).await;
        for wait in waits {
            if answer.is_ok() {
                break;
            }
            tokio::time::sleep(*wait).await;
            answer = self.send(host, deed).await;
        }
        if let Ok(mut lost) = self.lost.lock() {
            if answer.is_err() {
                lost.insert(host)
            } else {
                lost.remove(&host)
            };
        }
        answer
    }

    async fn send(&self, host: usize, deed: &Deed) -> Result<Said, Lost> {
        self.point().await;
        self.fleet.pause(2, 30).await;
        let (reaches, line) = self.fleet.with(|state| (state.reaches(host), state.line(host, &deed.action)));
        match line {
            _ if !reaches => return self.silence().await,
            Line::Fails => return Ok(Err("it failed".to_owned())),
            Line::LostBefore => return self.silence().await,
            Line::HangsBefore => return pending().await,
            Line::Holds | Line::LostAfter | Line::HangsAfter => {}
        }
        let (tell, told) = oneshot::channel();
        tokio::spawn(script::step(self.fleet.clone(), self.run, host, deed.clone(), tell));
        let answer = told.await;
        self.point().await;
        match answer {
            _ if line == Line::HangsAfter => pending().await,
            Ok(said) if line != Line::LostAfter && self.fleet.with(|state| state.reaches(host)) => Ok(said),
            _ => self.silence().await,
        }
    }

    async fn on_host(&self, host: usize, deed: &Deed) -> StepResult {
        let is_disruptive = matches!(deed.action, Action::Activate { .. });
        if is_disruptive && !self.fleet.with(|state| state.balancers_hold(self.run)) {
            return StepResult::Failed(Failure::new("a balancer's guard may be putting the host back"));
        }
        match self.settled(host, deed).await {
            Ok(Ok(())) => StepResult::Ok(String::new()),
            Ok(Err(why)) => StepResult::Failed(Failure::new(why)),
            Err(Lost) => StepResult::Unknown(Failure::new("the line broke")),
        }
    }

    async fn act(&self, host: usize, deed: &Deed, limit: Duration) -> StepResult {
        match &deed.action {
            Action::Drain => self.drain(host).await,
            Action::Enable { until } => self.enable(host, *until, limit.saturating_sub(Duration::from_secs(5))).await,
            Action::Watch => self.watch(host, self.fleet.setup.recipe.watch.duration).await,
            Action::Health { .. } if self.fleet.with(|state| state.sabotaged(Sabotage::NoHealth)) => {
                StepResult::Ok(String::new())
            }
            _ => self.on_host(host, deed).await,
        }
    }
}

/// A deed that was asked for. Who gives up waiting for its answer, as when its time is up, has to take it for failed.
struct Asked<'a> {
    runner: &'a Runner,
    host: usize,
    is_answered: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            let Self { runner, host, .. } = self;
            runner.fleet.with(|state| state.failed(runner.run, *host));
        }
    }
}

impl World for Runner {
    async fn perform(&self, host: &HostName, deed: &Deed, limit: Duration, _: Progress) -> StepResult {
        let host = self.places[host];
        self.fleet.with(|state| state.asked_for(self.run, host, deed));
        let mut asked = Asked { runner: self, host, is_answered: false };
        let mut result = self.act(host, deed, limit).await;
        if self.fleet.with(|state| state.sabotaged(Sabotage::FailuresPass)) && matches!(result, StepResult::Failed(_)) {
            result = StepResult::Ok(String::new());
        }
        asked.is_answered = true;
        self.fleet.with(|state| state.answered(self.run, host, deed, &result));
        result
    }

    fn forget(&self, host: &HostName) {
        let host = self.places[host];
        self.fleet.with(|state| {
            if state.reaches(host) && state.fence(host, self.run) {
                state.hosts[host].undo.clear();
            } else {
                state.runs[self.run].to_forget.insert(host);
            }
        });
    }

    async fn look(&self) -> Result<View, String> {
        let mut serving: BTreeSet<usize> = (0..self.fleet.setup.hosts).collect();
        for balancer in 0..self.fleet.setup.balancers {
            let station = self.fleet.setup.hosts + balancer;
            let seen = self.ask(station, |state| {
                // One balancer after the other is asked: what the first one was not asked any more this look can't show.
                if balancer == 0 {
                    state.runs[self.run].looked = Some(state.now);
                }
                (0..state.hosts.len()).filter(|host| state.takes(balancer, *host)).collect::<BTreeSet<usize>>()
            });
            let seen = seen.await.map_err(|Lost| "a balancer does not answer".to_owned())?;
            serving.retain(|host| seen.contains(host));
        }
        if self.fleet.with(|state| state.sabotaged(Sabotage::NoFloor)) {
            serving = (0..self.fleet.setup.hosts).collect();
        }
        let names = self.places.iter().filter(|(_, place)| serving.contains(place));
        Ok(View { serving: names.map(|(name, _)| name.clone()).collect() })
    }

    async fn bake(&self, hosts: &[HostName], duration: Duration) -> StepResult {
        tokio::time::sleep(duration).await;
        for host in hosts {
            if let failed @ (StepResult::Failed(_) | StepResult::Unknown(_)) =
                self.watch(self.places[host], Duration::ZERO).await
            {
                return failed;
            }
        }
        StepResult::Ok(String::new())
    }
}

impl State {
    /// A point of a run: after so many of them its runner is killed, if that is what is tried.
    pub(super) fn point(&mut self, run: Run) {
        let state = &mut self.runs[run];
        state.points += 1;
        if !state.is_over && state.killed_at == Some(state.points) {
            self.fired(Fault::RunnerKilled, run, String::new);
            self.kill(run);
        }
    }

    /// The same after so many things that were taken back.
    pub(super) fn point_back(&mut self, run: Run) {
        let state = &mut self.runs[run];
        state.backs += 1;
        if !state.is_over && state.killed_back == Some(state.backs) {
            self.fired(Fault::RunnerKilled, run, String::new);
            self.kill(run);
        }
    }

    /// What becomes of a command.
    fn line(&mut self, host: usize, action: &Action) -> Line {
        for (fault, permille, line) in [
            (Fault::CommandFails, 40, Line::Fails),
            (Fault::CommandLost, 60, Line::LostBefore),
            (Fault::AnswerLost, 60, Line::LostAfter),
            (Fault::HangsBefore, 20, Line::HangsBefore),
            (Fault::HangsAfter, 20, Line::HangsAfter),
        ] {
            if self.strikes(fault, permille) {
                self.fired(fault, host, || format!("web{}: {action}", host + 1));
                return line;
            }
        }
        Line::Holds
    }

    /// Whether one balancer gives the host traffic.
    pub(super) fn takes(&self, balancer: usize, host: usize) -> bool {
        let server = &self.balancers[balancer].servers[host];
        server.state == shipit::model::ServerState::Ready && server.is_up
    }
}
