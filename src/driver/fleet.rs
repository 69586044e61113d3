//! The real fleet: sessions to its hosts, the balancers behind some of them, and what each action means there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Mutex;

use super::cargo::Cargo;
use super::{Deed, World};
use crate::artifact::Archive;
use crate::balancer::{BalancerError, Balancers};
use crate::model::{
    Failure, Host, HostFacts, HostName, Inventory, Observation, Problem, Reach, Recipe, Release, Size, StepResult,
    Until, View,
};
use crate::plan::Action;
use crate::remote::{Purpose, RouteCheck, Site, judge, look, read_check, read_facts};
use crate::transport::{ConnectError, ExecError, Output, Progress, Session, Transport};

/// A look at a host asks its health pages, each within the recipe's time-out; this is for the rest.
const LOOK_SLACK: Duration = Duration::from_mins(1);

/// So long before a step's time is up, a wait of ours ends by itself: it knows what it waited for.
const OWN_WORDS: Duration = Duration::from_secs(5);

/// How often a step is tried again when the line broke before its answer came, and the waits before.
///
/// Repeating looks again: each action does only what does not hold yet. The session connects anew by itself; a host that
/// reboots is back by the third try or takes a person.
const SETTLE: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];

/// Hosts that can be acted on.
pub struct Fleet<T: Transport> {
    inventory: Arc<Inventory>,
    recipe: Arc<Recipe>,
    /// Where each host is in the inventory.
    places: BTreeMap<HostName, usize>,
    sessions: BTreeMap<HostName, Arc<T::Session>>,
    unreachable: BTreeMap<HostName, ConnectError>,
    balancers: Balancers<T::Session>,
    cargo: Cargo,
    /// The hosts that this run has taken out of the balancers, and whether they are out by its hand now.
    taken_out: Mutex<BTreeMap<HostName, bool>>,
    /// The hosts that gave no answer when they were last asked, however often.
    lost: Mutex<BTreeSet<HostName>>,
}

impl<T: Transport> Fleet<T> {
    /// Opens a session to each of `hosts`, all at once. Hosts that can't be reached are remembered, not an error.
    pub async fn connect(transport: &T, inventory: Arc<Inventory>, recipe: Arc<Recipe>, hosts: &[&Host]) -> Self {
        let sessions = join_all(hosts.iter().map(|host| async { (&host.name, transport.connect(host).await) })).await;
        let mut reached = BTreeMap::new();
        let mut unreachable = BTreeMap::new();
        for (name, session) in sessions {
            match session {
                Ok(session) => drop(reached.insert(name.clone(), Arc::new(session))),
                Err(error) => drop(unreachable.insert(name.clone(), error)),
            }
        }
        let balancers = Balancers::new(&inventory, |host| reached.get(host).cloned());
        let places = inventory.hosts.iter().enumerate().map(|(place, host)| (host.name.clone(), place)).collect();
        Self {
            inventory,
            places,
            recipe,
            sessions: reached,
            unreachable,
            balancers,
            cargo: Cargo::default(),
            taken_out: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    /// The archive to send to hosts that do not have it.
    pub fn carry(&mut self, archive: Option<Archive>) {
        self.cargo = Cargo::of(archive);
    }

    /// The sources of the fleet's scripts.
    #[must_use]
    pub fn site(&self) -> Site<'_> {
        Site { inventory: &self.inventory, recipe: &self.recipe }
    }

    /// Why a host could not be reached.
    #[must_use]
    pub fn unreachable(&self, host: &HostName) -> Option<&ConnectError> {
        self.unreachable.get(host)
    }

    /// Looks at `hosts` and at all balancers. `coming` is the release that is about to be deployed, and its size.
    pub async fn observe(&self, hosts: &[&Host], purpose: Purpose, coming: Option<(&Release, Size)>) -> Observation {
        let hosts = self.observe_hosts(hosts, purpose, coming);
        let (hosts, balancers) = futures::join!(hosts, self.balancers.observe());
        Observation { hosts, balancers }
    }

    /// Looks at `hosts` alone.
    pub async fn observe_hosts(
        &self,
        hosts: &[&Host],
        purpose: Purpose,
        coming: Option<(&Release, Size)>,
    ) -> BTreeMap<HostName, HostFacts> {
        let facts = join_all(hosts.iter().map(|host| self.look_at(host, purpose, coming))).await;
        hosts.iter().map(|host| host.name.clone()).zip(facts).collect()
    }

    async fn look_at(&self, host: &Host, purpose: Purpose, coming: Option<(&Release, Size)>) -> HostFacts {
        let unreachable = |why: String| HostFacts { reach: Reach::Unreachable(why), ..HostFacts::default() };
        let Some(session) = self.sessions.get(&host.name) else {
            let why = self.unreachable.get(&host.name).map_or_else(|| "not connected".to_owned(), ToString::to_string);
            return unreachable(why);
        };
        let (archive, size) =
            coming.map_or_else(Default::default, |(release, size)| (Some(&release.fingerprint), size));
        let script = look(&self.site(), host, purpose, archive, size);
        match session.run(&script, self.recipe.health.timeout + LOOK_SLACK, &Progress::unheard()).await {
            Ok(output) => read_facts(&output).split(self.recipe.second_set()),
            Err(error) => unreachable(error.to_string()),
        }
    }

    /// Adds to what was `observed` what stands in the way of telling the local nginx where to send traffic, and what that costs.
    pub async fn check_routes(&self, hosts: &[&Host], observed: &mut Observation) {
        let limit = self.recipe.health.timeout + LOOK_SLACK;
        let site = self.site();
        let checks = hosts.iter().filter_map(|host| {
            let (session, script) = (self.sessions.get(&host.name)?, site.check_route(host)?);
            Some(async move {
                let check = match session.run(&script, limit, &Progress::unheard()).await {
                    Ok(output) => read_check(&output),
                    Err(error) => {
                        let problem = Problem { what: error.to_string(), help: None };
                        RouteCheck { problems: vec![problem], notes: Vec::new() }
                    }
                };
                (host.name.clone(), check)
            })
        });
        for (host, RouteCheck { problems, notes }) in join_all(checks).await {
            if let Some(facts) = observed.hosts.get_mut(&host) {
                facts.problems.extend(problems);
                facts.notes.extend(notes);
            }
        }
    }

    /// Who serves, as far as that can be seen, and why not all of it can. The `healthy` have just been asked, and are not
    /// asked again.
    pub async fn who_serves(&self, healthy: &BTreeSet<HostName>) -> (View, Option<String>) {
        if self.is_balanced() {
            let (view, fault) = self.balancers.serving_as_far_as_seen().await;
            return (view, fault.map(|fault| fault.to_string()));
        }
        let balanced = |host: &Host| self.inventory.balancers_of(host).next().is_some();
        let fleet = || self.inventory.with_role(&self.recipe.app.role);
        let (known, asked): (Vec<&Host>, Vec<&Host>) = fleet().partition(|host| healthy.contains(&host.name));
        let mut view = self.observe(&asked, Purpose::Status, None).await.view(&self.inventory, &self.recipe);
        view.serving.extend(known.into_iter().filter(|host| !balanced(host)).map(|host| host.name.clone()));
        (view, None)
    }

    /// Whether every host of the app is behind a balancer.
    fn is_balanced(&self) -> bool {
        let mut fleet = self.inventory.with_role(&self.recipe.app.role);
        fleet.all(|host| self.inventory.balancers_of(host).next().is_some())
    }

    /// Ends all sessions. Nothing of ours is left on this machine after that.
    pub async fn close(self) {
        drop(self.balancers);
        let sessions = self.sessions.into_values().filter_map(Arc::into_inner);
        join_all(sessions.map(Session::close)).await;
    }

    /// Takes `host` out, unless somebody else has done so since the deploy began: then it is not ours to put back, and a
    /// release that nobody asked for there is none of our business.
    async fn drain(&self, host: &Host, progress: &Progress) -> Result<String, BalancerError> {
        let before = self.taken_out.lock().await.get(&host.name).copied();
        if before != Some(true) {
            match self.balancers.taken_out(host).await? {
                Some(fault) if before.is_none() => return Err(fault),
                // On the way back from a release that was live: out is what it is to be.
                Some(_) => {}
                None => drop(self.taken_out.lock().await.insert(host.name.clone(), true)),
            }
        }
        self.balancers.drain(host, self.recipe.drain, progress).await.map(|done| done.to_string())
    }

    /// Puts `host` back, if it is out by our hand.
    async fn enable(
        &self,
        host: &Host,
        until: Until,
        deadline: Duration,
        progress: &Progress,
    ) -> Result<String, BalancerError> {
        if self.taken_out.lock().await.get(&host.name) != Some(&true) {
            return Ok("left as it was found".to_owned());
        }
        self.balancers.enable(host, until, deadline, progress).await?;
        self.taken_out.lock().await.insert(host.name.clone(), false);
        Ok(String::new())
    }

    async fn run(&self, host: &Host, action: &Action, limit: Duration, progress: &Progress) -> StepResult {
        let Some(session) = self.sessions.get(&host.name) else {
            return StepResult::Unknown(Failure::new("there is no connection to it"));
        };
        match action {
            Action::Upload { release } => match self.cargo.parcel(&self.site(), host, release).await {
                Ok(parcel) => judge(self.settled(host, action, || session.upload(&parcel, limit, progress)).await),
                Err(error) => StepResult::Failed(Failure::new(format!("the archive could not be packed: {error}"))),
            },
            _ => match self.site().script(host, action) {
                Some(script) => judge(self.settled(host, action, || session.run(&script, limit, progress)).await),
                None => StepResult::Failed(Failure::new(format!("nobody knows how to {action}"))),
            },
        }
    }

    /// Repeats what was cut off, until there is an answer or it is clear that there will be none. A host that had none before is
    /// asked once: the way back must not wait for it again and again. A task may do anything, so it is never repeated.
    async fn settled<F>(&self, host: &Host, action: &Action, run: impl Fn() -> F) -> Result<Output, ExecError>
    where
        F: Future<Output = Result<Output, ExecError>>,
    {
        let waits = match action {
            Action::Task { .. } => &[][..],
            _ if self.lost.lock().await.contains(&host.name) => &[],
            _ => &SETTLE,
        };
        let mut answer = run().await;
        for wait in waits {
            if !matches!(answer, Err(ExecError::Lost(_))) {
                break;
            }
            tokio::time::sleep(*wait).await;
            answer = run().await;
        }
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
        let action = &deed.action;
        let Some(host) = self.places.get(host).map(|place| &self.inventory.hosts[*place]) else {
            return StepResult::Failed(Failure::new("it is not in the inventory"));
        };
        let done = match action {
            Action::Drain => self.drain(host, &progress).await,
            Action::Enable { until } => self.enable(host, *until, limit.saturating_sub(OWN_WORDS), &progress).await,
            Action::Watch => {
                self.balancers.watch(host, self.recipe.watch.duration).await.map(|report| format!("{report} failed"))
            }
            _ => return self.run(host, action, limit, &progress).await,
        };
        match done {
            Ok(note) => StepResult::Ok(note),
            Err(error) => {
                let failure = Failure { help: error.help(), ..Failure::new(error.to_string()) };
                if error.is_silence() { StepResult::Unknown(failure) } else { StepResult::Failed(failure) }
            }
        }
    }

    fn forget(&self, _host: &HostName) {}

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
