//! The real fleet: sessions to its hosts, the balancers behind some of them, and what each action means there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Mutex;

use super::cargo::Cargo;
use super::guards::{Guards, LockHeld, Watchword};
use crate::artifact::Archive;
use crate::balancer::Balancers;
use crate::model::{
    Failure, Host, HostFacts, HostName, Inventory, Observation, Problem, Reach, Recipe, Release, RunId, Size,
    StepResult, View,
};
use crate::remote::{LockVerb, Purpose, Site, judge, look, read_facts};
use crate::transport::{ConnectError, ExecError, Output, Progress, Script, Session, Transport};

/// A look at a host asks its health pages, each within the recipe's time-out; this is for the rest.
pub(super) const LOOK_SLACK: Duration = Duration::from_mins(1);

/// What a word with a lock may take; to break one is to wait for what its guard has to put back.
const LOCK: Duration = Duration::from_mins(2);

/// Hosts that can be acted on.
pub struct Fleet<T: Transport> {
    pub(super) inventory: Arc<Inventory>,
    pub(super) recipe: Arc<Recipe>,
    /// Where each host is in the inventory.
    pub(super) places: BTreeMap<HostName, usize>,
    pub(super) sessions: BTreeMap<HostName, Arc<T::Session>>,
    unreachable: BTreeMap<HostName, ConnectError>,
    pub(super) balancers: Balancers<T::Session>,
    pub(super) cargo: Cargo,
    /// The hosts that this run has taken out of the balancers.
    pub(super) taken_out: Mutex<BTreeMap<HostName, Out>>,
    /// The run whose steps the hosts note in their journals.
    pub(super) run: Option<RunId>,
    /// Who stands on the hosts, while something is being changed.
    pub(super) guards: Option<Guards>,
    /// The hosts that gave no answer when they were last asked, however often.
    pub(super) lost: Mutex<BTreeSet<HostName>>,
}

/// A host that this run has taken out of the balancers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Out {
    /// It is out by our hand, since guards at balancers had acted so often.
    Ours {
        /// So often.
        acted: u32,
    },
    /// It is back.
    Back,
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
            cargo: Cargo::packed_in(transport.scratch()),
            taken_out: Mutex::default(),
            guards: None,
            run: None,
            lost: Mutex::default(),
        }
    }

    /// Does `verb` with the lock of every one of `hosts` and of every balancer, all at once; the balancers come last.
    pub async fn lock(&self, hosts: &[&Host], verb: &LockVerb) -> Vec<(HostName, Result<Output, Failure>)> {
        let site = self.site();
        let hosts = hosts.iter().filter_map(|host| {
            let session = self.sessions.get(&host.name)?.clone();
            Some((host.name.clone(), session, verb.on_host(&site.root(host))))
        });
        let sockets = self.balancers.sockets();
        let sockets = sockets.map(|(host, session, path)| (host.clone(), session, verb.at_balancer(path)));
        let asked = hosts.chain(sockets).map(|(host, session, script)| async move {
            let answer = match session.run(&script, LOCK, &Progress::unheard()).await {
                Ok(output) if output.code == 0 => Ok(output),
                answer => Err(failure(answer)),
            };
            (host, answer)
        });
        join_all(asked).await
    }

    /// Calls guards to `hosts` and to all balancers, which together are the lock. `waits` hears what they wait for.
    pub async fn guard(
        &mut self,
        watchword: &Watchword,
        hosts: &[&Host],
        waits: impl Fn(&str),
    ) -> Result<(), LockHeld> {
        let site = self.site();
        let reached = hosts.iter().filter_map(|host| Some((host, self.sessions.get(&host.name)?)));
        let posts: Vec<_> =
            reached.map(|(host, session)| (host.name.clone(), session.clone(), site.root(host))).collect();
        let sockets = self.balancers.sockets();
        let sockets: Vec<_> = sockets.map(|(host, session, path)| (host.clone(), session, path.to_owned())).collect();
        self.guards = Some(Guards::call(watchword, posts, sockets, waits).await?);
        Ok(())
    }

    /// The archive to send to hosts that do not have it.
    pub fn carry(&mut self, archive: Option<Archive>) {
        self.cargo.archive = archive;
    }

    /// From here on, the hosts note in their journals what is done in `run`.
    pub fn record(&mut self, run: RunId) {
        self.run = Some(run);
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
        let balancers = async {
            match purpose {
                Purpose::Status => self.balancers.observe().await,
                Purpose::Deploy | Purpose::Return => self.balancers.observe_agreed().await,
            }
        };
        let (mut hosts, mut balancers) = futures::join!(hosts, balancers);
        for (host, failure) in self.guards.iter().flat_map(Guards::faults) {
            let problem = Problem { what: failure.what, help: failure.help };
            let balancer = balancers.iter_mut().find(|balancer| balancer.key.host == *host);
            match (hosts.get_mut(host), balancer) {
                // That a tool is missing has been seen without the guard, too.
                (Some(facts), _) if facts.problems.contains(&problem) => {}
                (Some(facts), _) if facts.reach == Reach::Reached => facts.problems.push(problem),
                (None, Some(balancer)) if balancer.reach == Reach::Reached => balancer.problems.push(problem),
                // Why it can't be reached says it all.
                _ => {}
            }
        }
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
        match self.ask(host, session, &script).await {
            Ok(output) => read_facts(&output).split(self.recipe.second_set()),
            Err(error) => unreachable(error.to_string()),
        }
    }

    /// Has a host answer what changes nothing there. A line that breaks meanwhile is made again once: the next word on it connects. A
    /// host that gave no answer before is asked once.
    pub(super) async fn ask(&self, host: &Host, session: &T::Session, script: &Script) -> Result<Output, ExecError> {
        let is_lost = self.lost.lock().await.contains(&host.name);
        let limit = self.recipe.health.timeout + LOOK_SLACK;
        match session.run(script, limit, &Progress::unheard()).await {
            Err(ExecError::Lost(_)) if !is_lost => session.run(script, limit, &Progress::unheard()).await,
            answer => answer,
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
    pub(super) fn is_balanced(&self) -> bool {
        let mut fleet = self.inventory.with_role(&self.recipe.app.role);
        fleet.all(|host| self.inventory.balancers_of(host).next().is_some())
    }

    /// Ends all sessions. Nothing of ours is left on this machine after that.
    pub async fn close(self) {
        if let Some(guards) = self.guards {
            guards.end().await;
        }
        drop(self.balancers);
        let sessions = self.sessions.into_values().filter_map(Arc::into_inner);
        join_all(sessions.map(Session::close)).await;
    }
}

/// Why a script did not do what it was to do.
fn failure(answer: Result<Output, ExecError>) -> Failure {
    match judge(answer) {
        StepResult::Failed(failure) | StepResult::Unknown(failure) => failure,
        StepResult::Ok(note) => Failure::new(note),
    }
}
