//! What each action means on the real fleet: scripts on hosts, words to balancers, and what their guards hear of it first.

use std::future::Future;
use std::time::Duration;

use futures::future::join_all;

use super::fleet::{Fleet, Out};
use super::settle::settled;
use super::{Deed, World};
use crate::balancer::BalancerError;
use crate::model::{Failure, Host, HostName, StepResult, Until, View};
use crate::plan::Action;
use crate::remote::{Purpose, judge};
use crate::transport::{ExecError, Output, Progress, Session, Transport};

/// So long before a step's time is up, a wait of ours ends by itself: it knows what it waited for.
const OWN_WORDS: Duration = Duration::from_secs(5);

/// Why an action is not done.
pub(super) enum Trouble {
    /// It failed.
    Failed(Failure),
    /// What came of it is not known.
    Unknown(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<BalancerError> for Trouble {
    fn from(error: BalancerError) -> Self {
        let failure = Failure { help: error.help(), ..Failure::new(error.to_string()) };
        if error.is_silence() { Self::Unknown(failure) } else { Self::Failed(failure) }
    }
}

/// What a balancer's guard knows the way back of `host` by, of which there are several where two backends serve it.
fn key(host: &Host, place: usize) -> String {
    format!("{}.{place}", host.name)
}

impl<T: Transport> Fleet<T> {
    /// Takes `host` out, unless somebody else has done so since the deploy began: then it is not ours to put back, and a
    /// release that nobody asked for there is none of our business.
    async fn drain(&self, host: &Host, progress: &Progress) -> Result<String, Trouble> {
        let before = self.taken_out.lock().await.get(&host.name).copied();
        if !matches!(before, Some(Out::Ours { .. })) {
            if let Some(fault) = self.balancers.taken_out(host).await? {
                if before.is_none() {
                    return Err(fault.into());
                }
                // On the way back from a release that was live: out is what it is to be.
                match self.balancers.await_last(host, self.recipe.drain, progress).await {
                    // A reload has put it back meanwhile. Who takes it out now is who puts it back.
                    Err(BalancerError::NotHeld { .. }) => {}
                    done => return Ok(done?.to_string()),
                }
                if let Some(fault) = self.balancers.taken_out(host).await? {
                    return Err(fault.into());
                }
            }
            let acted = self.acted_at_balancers().await?;
            self.taken_out.lock().await.insert(host.name.clone(), Out::Ours { acted });
        }
        self.arm(host).await?;
        Ok(self.balancers.drain(host, self.recipe.drain, progress).await.map(|done| done.to_string())?)
    }

    /// Has the balancers' guards know how to put `host` back.
    async fn arm(&self, host: &Host) -> Result<(), Trouble> {
        let Some(guards) = &self.guards else { return Ok(()) };
        let ways = self.balancers.way_back(host).await?;
        let armed = ways
            .iter()
            .enumerate()
            .map(|(place, way)| async move { guards.arm(way.host, way.path, &key(host, place), &way.commands).await });
        join_all(armed).await.into_iter().collect::<Result<Vec<()>, Failure>>()?;
        Ok(())
    }

    /// Puts `host` back, if it is out by our hand.
    pub(super) async fn enable(
        &self,
        host: &Host,
        until: Until,
        deadline: Duration,
        progress: &Progress,
    ) -> Result<String, Trouble> {
        if !matches!(self.taken_out.lock().await.get(&host.name), Some(Out::Ours { .. })) {
            return Ok("left as it was found".to_owned());
        }
        // A host that may have traffic is not to be restarted by its guard. All that could be wrong with it was asked before.
        self.forget(&host.name);
        self.balancers.enable(host, until, deadline, progress).await?;
        self.taken_out.lock().await.insert(host.name.clone(), Out::Back);
        if let Some(guards) = &self.guards {
            for (place, (at, path)) in self.balancers.sockets_of(host).into_iter().enumerate() {
                guards.disarm(at, path, &key(host, place));
            }
        }
        Ok(String::new())
    }

    /// Makes sure that a host that was taken out is so still, before its app is restarted: a guard has put it back if the line to a
    /// balancer broke, and somebody else's reload of haproxy puts back everybody, whoever has taken them out.
    async fn keep_out(&self, host: &Host, progress: &Progress) -> Result<(), Trouble> {
        let Some(out) = self.taken_out.lock().await.get(&host.name).copied() else { return Ok(()) };
        let mut was_put_back = false;
        if let Out::Ours { acted } = out {
            let acts = self.acted_at_balancers().await?;
            self.taken_out.lock().await.insert(host.name.clone(), Out::Ours { acted: acts });
            was_put_back = acts != acted;
        }
        if was_put_back || self.balancers.gives_traffic(host).await? {
            self.drain(host, progress).await?;
        }
        Ok(())
    }

    /// How often guards have put servers back; nobody does where nobody guards.
    async fn acted_at_balancers(&self) -> Result<u32, Failure> {
        match &self.guards {
            Some(guards) => guards.acted_at_balancers().await,
            None => Ok(0),
        }
    }

    async fn run(&self, host: &Host, deed: &Deed, limit: Duration, progress: &Progress) -> Result<String, Trouble> {
        let Some(session) = self.sessions.get(&host.name) else {
            return Err(Trouble::Unknown(Failure::new("there is no connection to it")));
        };
        let guards = self.guards.as_ref();
        if deed.back.is_some() && guards.is_some_and(|guards| guards.puts_back(&host.name)) {
            return Ok("left to its guard".to_owned());
        }
        let run = self.guarding(host, deed).await?;
        let action = &deed.action;
        if matches!(action, Action::Activate { .. }) {
            self.keep_out(host, progress).await?;
        }
        let script = self.site().script(host, action);
        let script = script.ok_or_else(|| Failure::new(format!("nobody knows how to {action}")))?;
        let mut script = self.recorded(host, script, deed);
        if let Some(run) = run {
            script = self.site().guarded(script, host, run, deed.undo.as_ref());
        }
        if let Some(step) = deed.back {
            script = script.with("BACK", step.to_string());
        }
        let answer = if let Action::Upload { .. } = action {
            let parcel = self.cargo.parcel(script).await;
            let parcel = parcel.map_err(|error| Failure::new(format!("the archive could not be packed: {error}")))?;
            self.settled(host, deed, || session.upload(&parcel, limit, progress)).await
        } else {
            self.settled(host, deed, || session.run(&script, limit, progress)).await
        };
        match judge(answer) {
            StepResult::Ok(note) => Ok(note),
            StepResult::Failed(failure) => Err(Trouble::Failed(failure)),
            StepResult::Unknown(failure) => Err(Trouble::Unknown(failure)),
        }
    }

    /// The word of this run for itself, where a guard stands on `host`. An error if it has put the host back.
    async fn guarding(&self, host: &Host, deed: &Deed) -> Result<Option<&str>, Trouble> {
        let Some(guards) = &self.guards else { return Ok(None) };
        match guards.of_host(&host.name).await? {
            Some(acted) if acted > 0 && deed.back.is_none() => {
                let what = "the line to it broke for so long that its guard has acted; `shipit logs` says what it did";
                Err(Failure::new(what).into())
            }
            Some(_) => Ok(Some(guards.run())),
            None => Ok(None),
        }
    }

    /// The answer of `run`, which does a step on `host`. A host that gave none before is asked once: the way back must not wait for it
    /// again and again. A task may do anything, so it is never repeated.
    async fn settled<F>(&self, host: &Host, deed: &Deed, run: impl Fn() -> F) -> Result<Output, ExecError>
    where
        F: Future<Output = Result<Output, ExecError>>,
    {
        let once = matches!(deed.action, Action::Task { .. }) || self.lost.lock().await.contains(&host.name);
        let answer = settled(once, run, async || self.guarding(host, deed).await.is_ok()).await;
        let mut lost = self.lost.lock().await;
        match answer {
            Err(ExecError::Lost(_)) => lost.insert(host.name.clone()),
            _ => lost.remove(&host.name),
        };
        answer
    }
}

impl<T: Transport> World for Fleet<T> {
    async fn perform(&self, host: &HostName, deed: &Deed, limit: Duration, progress: Progress) -> StepResult {
        let Some(host) = self.places.get(host).map(|place| &self.inventory.hosts[*place]) else {
            return StepResult::Failed(Failure::new("it is not in the inventory"));
        };
        let done = match &deed.action {
            Action::Drain => self.drain(host, &progress).await,
            Action::Enable { until } => self.enable(host, *until, limit.saturating_sub(OWN_WORDS), &progress).await,
            Action::Watch => {
                let report = self.balancers.watch(host, self.recipe.watch.duration).await;
                report.map(|report| format!("{report} failed")).map_err(Trouble::from)
            }
            _ => self.run(host, deed, limit, &progress).await,
        };
        match done {
            Ok(note) => StepResult::Ok(note),
            Err(Trouble::Failed(failure)) => StepResult::Failed(failure),
            Err(Trouble::Unknown(failure)) => StepResult::Unknown(failure),
        }
    }

    fn forget(&self, host: &HostName) {
        if let Some(guards) = &self.guards {
            guards.forget(host);
        }
    }

    async fn look(&self) -> Result<View, String> {
        if self.is_balanced() {
            return self.balancers.serving().await.map_err(|error| error.to_string());
        }
        // Without a balancer, whoever is healthy serves.
        let fleet: Vec<&Host> = self.inventory.with_role(&self.recipe.app.role).collect();
        Ok(self.observe(&fleet, Purpose::Status, None).await.view(&self.inventory, &self.recipe))
    }

    async fn bake(&self, hosts: &[HostName], duration: Duration) -> StepResult {
        let hosts = hosts.iter().filter_map(|name| self.inventory.host(name));
        let watched = hosts.filter(|host| self.inventory.balancers_of(host).next().is_some());
        let reports = watched.map(|host| async move { (host, self.balancers.watch(host, duration).await) });
        let ((), reports) = futures::join!(tokio::time::sleep(duration), join_all(reports));
        match reports.into_iter().find_map(|(host, report)| report.err().map(|error| (host, error))) {
            None => StepResult::Ok(String::new()),
            Some((host, error)) => {
                StepResult::Failed(Failure { help: error.help(), ..Failure::new(format!("{}: {error}", host.name)) })
            }
        }
    }
}
