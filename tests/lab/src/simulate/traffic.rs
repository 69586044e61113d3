//! Taking a host out of the simulated balancers and putting it back: in the same order, and with the same looks between, as
//! shipit's `balancer` does with the real ones.

use std::time::Duration;

use shipit::model::{Failure, Leftover, ServerState, StepResult, Until};
use tokio::time::Instant;

use super::sabotage::Sabotage;
use super::state::{Drainer, Run, State};
use super::world::{Lost, Runner};

const POLL: Duration = Duration::from_millis(200);

/// Why something with the balancers did not work: they said no, or nothing.
enum Trouble {
    No(String),
    Silence,
    /// What somebody else had taken out takes traffic again.
    IsBack,
}

impl From<Lost> for Trouble {
    fn from(_: Lost) -> Self {
        Self::Silence
    }
}

impl From<Trouble> for StepResult {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::No(why) => Self::Failed(Failure::new(why)),
            Trouble::Silence => Self::Unknown(Failure::new("a balancer does not answer")),
            Trouble::IsBack => Self::Failed(Failure::new("somebody else puts it in and out")),
        }
    }
}

/// What a look at one server shows.
#[derive(Clone, Copy)]
struct Look {
    pid: u32,
    state: ServerState,
    is_up: bool,
}

impl Runner {
    /// Takes the host out, unless somebody else has done so since the deploy began.
    pub(super) async fn drain(&self, host: usize) -> StepResult {
        self.fleet.with(|state| state.hosts[host].is_moving = true);
        let done = self.take_out(host).await;
        self.fleet.with(|state| state.hosts[host].is_moving = false);
        done.map_or_else(StepResult::from, |()| StepResult::Ok(String::new()))
    }

    async fn take_out(&self, host: usize) -> Result<(), Trouble> {
        let before = self.taken_out(host);
        if before != Some(true) {
            if self.is_out(host).await? {
                if before.is_none() {
                    return Err(Trouble::No("somebody else has taken it out".to_owned()));
                }
                match self.wait_for_the_last_request(host, None).await {
                    Err(Trouble::IsBack) if !self.is_out(host).await? => {}
                    done => return done,
                }
            }
            self.note(host, true);
        }
        let found = self.looks(host).await?;
        let ours: Vec<usize> = (0..found.len()).filter(|one| found[*one].state == ServerState::Ready).collect();
        let pids: Vec<u32> = found.iter().map(|look| look.pid).collect();
        for balancer in 0..pids.len() {
            self.order_drain(balancer, host).await?;
        }
        if self.fleet.with(|state| state.sabotaged(Sabotage::NoWaitInHaproxy)) {
            return Ok(());
        }
        self.wait_for_the_last_request(host, Some((&ours, pids))).await
    }

    async fn is_out(&self, host: usize) -> Result<bool, Lost> {
        Ok(self.looks(host).await?.iter().any(|look| look.state != ServerState::Ready))
    }

    /// `taken` are the balancers that the host was taken out of, and the processes of all of them; `None` if somebody else did that.
    async fn wait_for_the_last_request(
        &self,
        host: usize,
        mut taken: Option<(&[usize], Vec<u32>)>,
    ) -> Result<(), Trouble> {
        let drain = self.fleet.setup.recipe.drain;
        let end = Instant::now() + drain.timeout;
        let mut idle = 0;
        while idle < 2 {
            let looks = self.looks(host).await?;
            let mut is_ordered = false;
            for (balancer, look) in looks.iter().enumerate() {
                let pid = taken.as_mut().map(|(_, pids)| std::mem::replace(&mut pids[balancer], look.pid));
                if look.state == ServerState::Ready {
                    match pid {
                        None => return Err(Trouble::IsBack),
                        Some(pid) if pid == look.pid => {
                            return Err(Trouble::No("somebody else has put it back".to_owned()));
                        }
                        Some(_) => self.order_drain(balancer, host).await?,
                    }
                    is_ordered = true;
                }
            }
            let is_busy = self.fleet.with(|state| state.is_busy(host));
            idle = if is_busy || is_ordered { 0 } else { idle + 1 };
            if is_busy && Instant::now() >= end {
                if drain.leftover == Leftover::Abort {
                    let ours = taken.map_or(&[][..], |(ours, _)| ours);
                    return Err(self.put_back_again(host, ours).await);
                }
                self.fleet.with(|state| state.cut_off(host));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Takes a drain back, where it has changed anything.
    async fn put_back_again(&self, host: usize, ours: &[usize]) -> Trouble {
        for balancer in ours {
            if self.order_ready(*balancer, host).await.is_err() {
                return Trouble::Silence;
            }
        }
        Trouble::No("requests are in flight".to_owned())
    }

    /// Puts the host back, if it is out by our hand.
    pub(super) async fn enable(&self, host: usize, until: Until, deadline: Duration) -> StepResult {
        if self.taken_out(host) != Some(true) {
            return StepResult::Ok("left as it was found".to_owned());
        }
        self.fleet.with(|state| state.hosts[host].is_moving = true);
        let done = match until {
            Until::Ready => self.put_back(host).await,
            Until::Up => self.let_in(host, deadline).await,
        };
        self.fleet.with(|state| state.hosts[host].is_moving = false);
        match done {
            Ok(()) => {
                self.note(host, false);
                StepResult::Ok(String::new())
            }
            Err(trouble) => trouble.into(),
        }
    }

    /// Each balancer for itself: one that is silent must not keep the host out of the others. haproxy is to ask the app first, as
    /// when a guard makes the server ready.
    async fn put_back(&self, host: usize) -> Result<(), Trouble> {
        let mut done = Ok(());
        for balancer in 0..self.fleet.setup.balancers {
            let station = self.fleet.setup.hosts + balancer;
            let unproven = |state: &mut State| state.enable_by(self.run, balancer, host, State::make_ready);
            if let Err(trouble) =
                self.ask(station, unproven).await.map_err(Trouble::from).and_then(|said| said.map_err(Trouble::No))
            {
                done = Err(trouble);
            }
        }
        done
    }

    /// Waits for haproxy's own checks, first while the server drains, then once it is ready.
    async fn let_in(&self, host: usize, deadline: Duration) -> Result<(), Trouble> {
        let end = Instant::now() + deadline;
        let (mut within, mut silent) = (Vec::new(), false);
        for balancer in 0..self.fleet.setup.balancers {
            if self.look_at(balancer, host).await.is_ok() { within.push(balancer) } else { silent = true }
        }
        self.wait_until(host, &within, end, |look| look.state == ServerState::Ready || look.is_up).await?;
        for balancer in &within {
            self.order_ready(*balancer, host).await?;
        }
        self.wait_until(host, &within, end, |look| look.is_up).await?;
        if silent { Err(Trouble::Silence) } else { Ok(()) }
    }

    async fn wait_until(
        &self,
        host: usize,
        balancers: &[usize],
        end: Instant,
        holds: impl Fn(Look) -> bool,
    ) -> Result<(), Trouble> {
        loop {
            let mut all = true;
            for balancer in balancers {
                all &= holds(self.look_at(*balancer, host).await?);
            }
            if all {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(Trouble::No("haproxy does not take it".to_owned()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Watches the host in the balancers: it must not leave service, nor fail more than others do.
    pub(super) async fn watch(&self, host: usize, duration: Duration) -> StepResult {
        let end = Instant::now() + duration;
        loop {
            let looks = match self.looks(host).await {
                Ok(looks) => looks,
                Err(lost) => return Trouble::from(lost).into(),
            };
            if looks.iter().any(|look| look.state != ServerState::Ready || !look.is_up) {
                return Trouble::No("it left service".to_owned()).into();
            }
            if self.fleet.with(|state| state.fails_its_users(host)) {
                return Trouble::No("it fails its users".to_owned()).into();
            }
            if Instant::now() >= end {
                return StepResult::Ok(String::new());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn taken_out(&self, host: usize) -> Option<bool> {
        self.taken_out.lock().ok()?.get(&host).copied()
    }

    fn note(&self, host: usize, is_out: bool) {
        if let Ok(mut taken_out) = self.taken_out.lock() {
            taken_out.insert(host, is_out);
        }
    }

    async fn looks(&self, host: usize) -> Result<Vec<Look>, Lost> {
        let mut looks = Vec::new();
        for balancer in 0..self.fleet.setup.balancers {
            looks.push(self.look_at(balancer, host).await?);
        }
        Ok(looks)
    }

    async fn look_at(&self, balancer: usize, host: usize) -> Result<Look, Lost> {
        self.ask(self.fleet.setup.hosts + balancer, |state| {
            let haproxy = &state.balancers[balancer];
            let server = &haproxy.servers[host];
            Look { pid: haproxy.pid, state: server.state, is_up: server.is_up }
        })
        .await
    }

    async fn order_drain(&self, balancer: usize, host: usize) -> Result<(), Trouble> {
        let station = self.fleet.setup.hosts + balancer;
        self.ask(station, |state| state.drain_by(self.run, balancer, host)).await?.map_err(Trouble::No)
    }

    async fn order_ready(&self, balancer: usize, host: usize) -> Result<(), Trouble> {
        let station = self.fleet.setup.hosts + balancer;
        let blindly = |state: &mut State, balancer, host| state.set(balancer, host, ServerState::Ready, None);
        self.ask(station, |state| state.enable_by(self.run, balancer, host, blindly)).await?.map_err(Trouble::No)
    }
}

impl State {
    /// A drain arrives at a balancer: the guard notes the way back before the server's state is changed.
    fn drain_by(&mut self, run: Run, balancer: usize, host: usize) -> Result<(), String> {
        let station = self.balancer_station(balancer);
        if !self.fence(station, run) {
            return Err("the guard of this run is gone".to_owned());
        }
        if self.balancers[balancer].servers[host].state != ServerState::Ready {
            return Ok(());
        }
        self.check_floor(run, host);
        self.runs[run].drained.insert(host);
        self.effect(station, run);
        if !self.sabotaged(Sabotage::ToldTooLate) {
            self.balancers[balancer].notes.insert(host);
        }
        let wanted = if self.sabotaged(Sabotage::Maint) { ServerState::Maint } else { ServerState::Drain };
        self.set(balancer, host, wanted, Some(Drainer::Run(run)));
        Ok(())
    }

    /// The way back needs no guard, only that nobody else has the lock.
    fn enable_by(
        &mut self,
        run: Run,
        balancer: usize,
        host: usize,
        how: impl FnOnce(&mut Self, usize, usize),
    ) -> Result<(), String> {
        let station = self.balancer_station(balancer);
        if self.stations[station].owner != run {
            return Err("another run has the lock".to_owned());
        }
        if self.balancers[balancer].servers[host].state != ServerState::Ready {
            self.effect(station, run);
            self.check_owner(run, balancer, host);
            how(self, balancer, host);
        }
        self.balancers[balancer].notes.remove(&host);
        Ok(())
    }

    /// Whether the host has requests in flight that a balancer has given it.
    fn is_busy(&self, host: usize) -> bool {
        let mut apps = self.hosts[host].apps.iter();
        apps.any(|app| app.has_traffic || (app.is_healthy && app.busy_until > self.now))
    }

    fn cut_off(&mut self, host: usize) {
        let now = self.now;
        self.hosts[host].apps.iter_mut().for_each(|app| app.busy_until = now);
    }
}
