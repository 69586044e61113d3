//! What the scripts of shipit do on a host. They go on when the runner is gone, and end with the machine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shipit::driver::Deed;
use shipit::model::{Instance, Leftover, Release, ReleaseId};
use shipit::plan::Action;
use tokio::sync::oneshot;

use super::fault::Fault;
use super::fleet::Fleet;
use super::sabotage::Sabotage;
use super::state::{Run, State, Stored};

/// What a script says at its end.
pub(super) type Said = Result<(), String>;

/// On whose behalf a script runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    Step(Run),
    Guard(Run),
    /// The host's own, for nobody who is still there.
    Itself,
}

/// So long a script waits for another one on the same host.
const TURN: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(100);

/// A step as it arrives on the host: refused without a living guard, and the guard told about the way back before anything is done.
pub(super) async fn step(fleet: Arc<Fleet>, run: Run, host: usize, deed: Deed, tell: oneshot::Sender<Said>) {
    let begun = fleet.with(|state| state.begin_step(run, host, &deed));
    let boot = match begun {
        Ok(boot) => boot,
        Err(why) => return drop(tell.send(Err(why))),
    };
    let early = fleet.with(|state| state.sabotaged(Sabotage::AnswersFirst));
    let done = if early {
        let _ = tell.send(Ok(()));
        perform(&fleet, host, &deed.action, By::Step(run)).await
    } else {
        let done = perform(&fleet, host, &deed.action, By::Step(run)).await;
        if let Some(said) = done.clone() {
            let _ = tell.send(said);
        }
        done
    };
    fleet.with(|state| {
        if state.stations[host].boot == boot && !changes_nothing(&deed.action) {
            state.stations[host].steps = state.stations[host].steps.saturating_sub(1);
        }
        if state.sabotaged(Sabotage::ForgetsEarly) {
            state.hosts[host].undo.clear();
        }
        state.say("did", host, || format!("web{}: {} of run {run}: {done:?}", host + 1, deed.action));
        state.point(run);
    });
}

impl State {
    fn begin_step(&mut self, run: Run, host: usize, deed: &Deed) -> Result<u32, String> {
        if !changes_nothing(&deed.action) {
            self.pass_fence(run, host, deed)?;
        }
        self.say("step", host, || format!("web{}: {} of run {run}", host + 1, deed.action));
        self.point(run);
        Ok(self.stations[host].boot)
    }

    fn pass_fence(&mut self, run: Run, host: usize, deed: &Deed) -> Result<(), String> {
        if !self.fence(host, run) {
            return Err("the guard of this run is gone".to_owned());
        }
        if let Some(undo) = &deed.undo
            && !self.sabotaged(Sabotage::ToldTooLate)
        {
            self.hosts[host].undo.insert(undo.step, undo.clone());
        }
        if let Some(step) = deed.back {
            // What the runner takes back itself, last step first, the guard must not begin anew.
            self.hosts[host].undo.retain(|other, _| *other <= step);
        }
        self.stations[host].steps += 1;
        Ok(())
    }

    /// The places of instances among the host's.
    pub(super) fn places(&self, instances: &[Instance]) -> impl Iterator<Item = usize> + use<> {
        let all = self.setup.recipe.instances();
        let places = all.iter().enumerate().filter(|(_, one)| instances.contains(one));
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        places.into_iter()
    }
}

/// Whether it only looks and waits: no guard has to stand for that, and none waits for its end.
fn changes_nothing(action: &Action) -> bool {
    matches!(action, Action::Health { .. } | Action::Warm { .. } | Action::Clear { .. })
}

/// Does `action` on `host`. `None` if the machine went away in the middle.
pub(super) async fn perform(fleet: &Arc<Fleet>, host: usize, action: &Action, by: By) -> Option<Said> {
    let mut script = Script { fleet, host, by, boot: fleet.with(|state| state.stations[host].boot) };
    let alone =
        matches!(action, Action::Stage { .. } | Action::Activate { .. } | Action::Route { .. } | Action::Flip { .. });
    if alone && !script.wait_for_its_turn().await? {
        return Some(Err("another script still runs on this host".to_owned()));
    }
    let said = script.run(action).await?;
    if alone {
        script.at(|state| state.hosts[host].is_taken = false)?;
    }
    Some(said)
}

/// A script that runs.
pub(super) struct Script<'a> {
    pub(super) fleet: &'a Arc<Fleet>,
    pub(super) host: usize,
    pub(super) by: By,
    pub(super) boot: u32,
}

impl Script<'_> {
    /// Looks at the host or changes it, if it is still the machine that the script began on.
    pub(super) fn at<T>(&self, work: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.fleet.with(|state| {
            let here = &state.stations[self.host];
            (here.is_up && here.boot == self.boot).then(|| work(state))
        })
    }

    /// The same for a change: the outside observer asks whose turn it is.
    pub(super) fn change<T>(&self, work: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.at(|state| {
            if let By::Step(run) | By::Guard(run) = self.by {
                state.effect(self.host, run);
            }
            work(state)
        })
    }

    pub(super) fn who(&self) -> String {
        match self.by {
            By::Step(run) => format!("run {run}"),
            By::Guard(run) => format!("the guard of run {run}"),
            By::Itself => "its host".to_owned(),
        }
    }

    pub(super) async fn wait_for_its_turn(&self) -> Option<bool> {
        let mut waited = Duration::ZERO;
        loop {
            let got = self.at(|state| !std::mem::replace(&mut state.hosts[self.host].is_taken, true))?;
            if got || waited >= TURN {
                return Some(got);
            }
            waited += POLL;
            tokio::time::sleep(POLL).await;
        }
    }

    async fn run(&mut self, action: &Action) -> Option<Said> {
        let slow = self.at(|state| {
            let strikes = state.strikes(Fault::SlowCommand, 50);
            if strikes {
                state.fired(Fault::SlowCommand, self.host, || action.to_string());
            }
            strikes
        })?;
        if slow {
            self.fleet.pause(2000, 12_000).await;
        }
        self.fleet.pause(10, 150).await;
        match action {
            Action::Upload { .. } => self.upload().await,
            Action::Stage { release } => self.stage(release).await,
            Action::Task { .. } => self.task(),
            Action::Activate { release, instances } => self.activate(release.as_ref(), instances).await,
            Action::Health { release, instances } => self.health(release.as_ref(), instances).await,
            Action::Warm { instances, .. } => self.warm(instances).await,
            Action::Route { to } => self.route(to).await,
            Action::Confirm { release, keep, replaces, .. } => self.confirm(release, *keep, replaces),
            Action::Flip { to } => self.flip(to).await,
            Action::Clear { instances } => self.clear(instances).await,
            Action::Stop { instances, after } => self.stop(instances, *after).await,
            // What balancers do is theirs, and that hosts meet is the scheduler's.
            Action::Drain | Action::Enable { .. } | Action::Watch | Action::Meet => Some(Ok(())),
        }
    }

    async fn upload(&self) -> Option<Said> {
        self.fleet.pause(100, 500).await;
        self.change(|state| if state.hosts[self.host].disk_is_full { Err("no space left".to_owned()) } else { Ok(()) })
    }

    /// Makes the release's directory: sealed last, so that a half-made one is nobody's.
    async fn stage(&self, release: &Release) -> Option<Said> {
        let seal_first = self.at(|state| state.sabotaged(Sabotage::SealsFirst))?;
        if seal_first {
            self.change(|state| state.put_release(self.host, release, false))?;
        }
        self.fleet.pause(200, 1000).await;
        self.change(|state| {
            if state.hosts[self.host].disk_is_full {
                return Err("no space left".to_owned());
            }
            state.put_release(self.host, release, true);
            Ok(())
        })
    }

    fn task(&self) -> Option<Said> {
        self.change(|state| {
            if !state.strikes(Fault::TaskFails, 200) {
                return Ok(());
            }
            state.fired(Fault::TaskFails, self.host, String::new);
            Err("the task ended with code 1".to_owned())
        })
    }

    /// Points `current` at the release and restarts what does not run it well.
    async fn activate(&self, release: Option<&ReleaseId>, instances: &[Instance]) -> Option<Said> {
        let is_there = self.at(|state| {
            let there = &state.hosts[self.host].releases;
            release.is_none_or(|release| there.get(release).is_some_and(|stored| stored.is_sealed))
        })?;
        if !is_there {
            return Some(Err("it is not a complete release".to_owned()));
        }
        if self.at(|state| state.sabotaged(Sabotage::UnlinksFirst))? {
            self.change(|state| state.point_current(self.host, None))?;
            self.fleet.pause(1, 5).await;
        }
        self.change(|state| {
            state.supersede(self.host, instances);
            state.point_current(self.host, release);
        })?;
        let Some(release) = release else { return Some(Ok(())) };
        for place in self.at(|state| state.places(instances))? {
            self.change(|state| {
                if !state.runs_well(self.host, release, [place].into_iter()) {
                    state.restart(self.host, place, &self.who(), matches!(self.by, By::Guard(_)));
                }
            })?;
            self.fleet.pause(20, 200).await;
        }
        Some(Ok(()))
    }

    async fn health(&self, release: Option<&ReleaseId>, instances: &[Instance]) -> Option<Said> {
        let deadline = self.at(|state| state.setup.recipe.health.deadline)?;
        let mut waited = Duration::ZERO;
        let mut passes = 0;
        while waited < deadline && passes < 2 {
            tokio::time::sleep(POLL * 3).await;
            waited += POLL * 3;
            let is_well = self.at(|state| match release {
                Some(release) => state.runs_well(self.host, release, state.places(instances)),
                None => state.places(instances).all(|place| state.hosts[self.host].apps[place].is_healthy),
            })?;
            passes = if is_well { passes + 1 } else { 0 };
        }
        Some(if passes < 2 { Err("it does not get healthy".to_owned()) } else { Ok(()) })
    }

    async fn warm(&self, instances: &[Instance]) -> Option<Said> {
        self.fleet.pause(20, 200).await;
        let answers =
            self.at(|state| state.places(instances).all(|place| state.hosts[self.host].apps[place].is_healthy))?;
        Some(if answers { Ok(()) } else { Err("it does not answer".to_owned()) })
    }

    /// Tells nginx, and waits until nothing is left on the instances that are out.
    async fn route(&self, to: &[Instance]) -> Option<Said> {
        self.fleet.pause(50, 400).await;
        let before = self.change(|state| state.send_traffic(self.host, to))?;
        let set = self.at(|state| to.first().map_or(Vec::new(), |one| state.setup.recipe.set_of(*one).to_vec()))?;
        let drained: Vec<usize> = self.at(|state| state.places(&set).collect())?;
        let limit = self.at(|state| state.setup.recipe.drain.timeout)?;
        let waits = !self.at(|state| state.sabotaged(Sabotage::NoWaitInNginx))?;
        if waits && !self.wait_until_free(&drained, limit).await? {
            return self.give_up_drain(before, &drained);
        }
        Some(Ok(()))
    }

    fn give_up_drain(&self, before: Vec<bool>, drained: &[usize]) -> Option<Said> {
        self.change(|state| {
            if state.setup.recipe.drain.leftover == Leftover::Cut {
                state.cut_off_unrouted(self.host, drained);
                return Ok(());
            }
            state.hosts[self.host].routed = before;
            Err("connections are left".to_owned())
        })
    }

    /// Reads back, notes that it was confirmed, and removes what is not needed any more.
    fn confirm(&self, release: &Release, keep: usize, replaces: &[ReleaseId]) -> Option<Said> {
        self.change(|state| {
            let all = state.live(self.host);
            if !state.runs_well(self.host, &release.id, all) {
                return Err("it does not run the release".to_owned());
            }
            let here = &mut state.hosts[self.host];
            if here.confirmed.last() != Some(&release.id) {
                here.confirmed.push(release.id.clone());
            }
            here.undo.clear();
            if let By::Step(run) | By::Guard(run) = self.by {
                state.runs[run].confirmed.insert(self.host);
            }
            let before: Vec<ReleaseId> = state.hosts[self.host].releases.keys().cloned().collect();
            state.prune(self.host, keep, replaces);
            if let By::Step(run) = self.by {
                state.check_kept(run, self.host, &before);
            }
            Ok(())
        })
    }
}

impl State {
    fn put_release(&mut self, host: usize, release: &Release, is_whole: bool) {
        let stored = Stored { release: release.clone(), is_whole, is_sealed: true };
        self.hosts[host].releases.insert(release.id.clone(), stored);
    }

    /// The link is moved by one rename.
    fn point_current(&mut self, host: usize, release: Option<&ReleaseId>) {
        let had_one = self.hosts[host].current.is_some();
        self.hosts[host].current = release.cloned();
        let word = release.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        self.say("current", host, || format!("web{}: current is {word}", host + 1));
        let is_whole = match release {
            Some(release) => self.hosts[host].releases.get(release).is_some_and(|stored| stored.is_whole),
            // Only on the way back from the first release that there ever was.
            None => !had_one || self.hosts[host].confirmed.is_empty(),
        };
        if !is_whole {
            self.broken(format!("5: current of web{} names {word}, which is no complete release", host + 1));
        }
    }

    /// Removes old releases: the newest stay, what runs, what `current` names, the two that were confirmed last, and what the deploy
    /// replaces.
    fn prune(&mut self, host: usize, keep: usize, replaces: &[ReleaseId]) {
        let by_count = self.sabotaged(Sabotage::PrunesByCount);
        let here = &mut self.hosts[host];
        let old = here.releases.len().saturating_sub(keep);
        let old: Vec<ReleaseId> = here.releases.keys().take(old).cloned().collect();
        let last: Vec<ReleaseId> = here.confirmed.iter().rev().take(2).cloned().collect();
        let needed = |id: &ReleaseId| {
            let runs = here.apps.iter().any(|app| app.release.as_ref() == Some(id));
            runs || here.current.as_ref() == Some(id) || last.contains(id) || replaces.contains(id)
        };
        let (needed, free): (Vec<ReleaseId>, Vec<ReleaseId>) = old.into_iter().partition(needed);
        let taken = if by_count { [free, needed].concat() } else { free };
        for id in taken {
            here.releases.remove(&id);
        }
    }

    /// What runs, what a rollback of this host needs, and what the run found on any host, since all may have to go back there.
    fn check_kept(&mut self, run: Run, host: usize, before: &[ReleaseId]) {
        let here = &self.hosts[host];
        let running = here.apps.iter().filter_map(|app| app.release.as_ref());
        let needed = running.chain(&here.current).chain(here.confirmed.iter().rev().take(2));
        let found = self.runs[run].found.values().flatten().filter(|id| before.contains(id));
        let gone: BTreeSet<String> =
            needed.chain(found).filter(|id| !here.releases.contains_key(*id)).map(ToString::to_string).collect();
        let gone: Vec<String> = gone.into_iter().collect();
        if !gone.is_empty() {
            self.broken(format!("5: pruning took {} from web{}", gone.join(", "), host + 1));
        }
    }
}
