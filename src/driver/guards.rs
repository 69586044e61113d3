//! All guards of a run: one on each host that is about to change, and one at each balancer's socket.
//!
//! Together they are the lock: two deploys that share a host or a balancer meet there.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;

use super::guard::{Guard, Standing};
use crate::balancer::ASK;
use crate::model::{Failure, HostName, RunId};
use crate::remote::Call;
use crate::transport::Session;

/// Who deploys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchword {
    /// The run's word for itself, which no other run has.
    pub run: RunId,
    /// Lines of `name value`, for whoever finds the lock taken.
    pub holder: Vec<String>,
}

/// Where a guard stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Post {
    /// At the socket of a balancer, on its host.
    Balancer(HostName, String),
    /// On a host of the app, below the root.
    Host(HostName, String),
}

/// Somebody else holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHeld {
    /// Where they were met.
    pub host: HostName,
    /// What is known of them, by name.
    pub holder: BTreeMap<String, String>,
}

/// The guards of a run.
pub(super) struct Guards {
    run: RunId,
    posts: BTreeMap<Post, Guard>,
    hosts: BTreeMap<HostName, Post>,
}

impl Guards {
    /// Calls guards to all of `hosts` and `balancers`, which come with the app's root and the socket's path. Those that can't stand
    /// there are told of by [`Self::faults`].
    ///
    /// One post comes before all others, so that of two runs that begin at once one gets through.
    pub(super) async fn call<S: Session>(
        watchword: &Watchword,
        hosts: impl IntoIterator<Item = (HostName, Arc<S>, String)>,
        balancers: impl IntoIterator<Item = (HostName, Arc<S>, String)>,
        waits: impl Fn(&str),
    ) -> Result<Self, LockHeld> {
        let mut sessions = BTreeMap::new();
        sessions.extend(balancers.into_iter().map(|(host, session, path)| (Post::Balancer(host, path), session)));
        sessions.extend(hosts.into_iter().map(|(host, session, root)| (Post::Host(host, root), session)));
        let mut guards = Self { run: watchword.run.clone(), posts: BTreeMap::new(), hosts: BTreeMap::new() };
        let first = sessions.pop_first();
        for round in [Vec::from_iter(first), sessions.into_iter().collect()] {
            for (post, session) in round {
                guards.post(watchword, post, session);
            }
            if let Err(held) = guards.stand(&waits).await {
                guards.end().await;
                return Err(held);
            }
        }
        Ok(guards)
    }

    fn post<S: Session>(&mut self, watchword: &Watchword, post: Post, session: Arc<S>) {
        let (watchword, at) = (watchword.clone(), post.clone());
        let script = move |again| {
            let call = Call { run: watchword.run.as_str(), holder: &watchword.holder, again };
            match &at {
                Post::Balancer(_, path) => call.to_balancer(path, ASK),
                Post::Host(_, root) => call.to_host(root),
            }
        };
        if let Post::Host(host, _) = &post {
            self.hosts.insert(host.clone(), post.clone());
        }
        self.posts.insert(post, Guard::call(session, script));
    }

    /// Waits until it is known of every guard how it stands.
    async fn stand(&self, waits: impl Fn(&str)) -> Result<(), LockHeld> {
        let settled = join_all(self.posts.iter().map(|(post, guard)| {
            let wait = |what: &str| waits(&format!("{}: {what}", post.host()));
            async move { (post, guard.settled(wait).await) }
        }));
        for (post, standing) in settled.await {
            if let Standing::Busy(lines) = standing {
                let pair =
                    |line: &String| line.split_once(' ').map(|(name, value)| (name.to_owned(), value.to_owned()));
                return Err(LockHeld { host: post.host().clone(), holder: lines.iter().filter_map(pair).collect() });
            }
        }
        Ok(())
    }

    /// Where no guard can stand, and why.
    pub(super) fn faults(&self) -> impl Iterator<Item = (&HostName, Failure)> {
        self.posts.iter().filter_map(|(post, guard)| match guard.standing() {
            Standing::Gone(failure) => Some((post.host(), failure)),
            _ => None,
        })
    }

    /// The run's word for itself.
    pub(super) fn run(&self) -> &str {
        self.run.as_str()
    }

    /// The guard on `host`, once it is known how that stands. `Ok` with how often one has acted there; `None` where nobody guards.
    pub(super) async fn of_host(&self, host: &HostName) -> Result<Option<u32>, Failure> {
        let Some(guard) = self.hosts.get(host).map(|post| &self.posts[post]) else { return Ok(None) };
        standing(guard).await.map(Some)
    }

    /// Whether the guard on `host` puts it back because somebody has broken the lock.
    pub(super) fn puts_back(&self, host: &HostName) -> bool {
        self.hosts.get(host).is_some_and(|post| self.posts[post].standing() == Standing::Broken)
    }

    /// How often guards have acted at the balancers: servers that were drained may not be so any more. An error if one of them has
    /// not been heard of lately, since it may be about to act.
    pub(super) async fn acted_at_balancers(&self) -> Result<u32, Failure> {
        let at_balancers = self.posts.iter().filter(|(post, _)| matches!(post, Post::Balancer(..)));
        let acted = at_balancers.map(|(post, guard)| async move {
            if guard.is_awake().await {
                return standing(guard).await;
            }
            Err(Failure::new(format!("the guard on `{}` does not answer, and may have put servers back", post.host())))
        });
        join_all(acted).await.into_iter().sum()
    }

    /// Has the guard at the socket `path` on `host` know `commands` by `key`.
    pub(super) async fn arm(&self, host: &HostName, path: &str, key: &str, commands: &str) -> Result<(), Failure> {
        let guard = &self.posts[&Post::Balancer(host.clone(), path.to_owned())];
        standing(guard).await?;
        if guard.tell(key, format!("arm {key} {commands}")).await.is_some() {
            return Ok(());
        }
        Err(Failure::new(format!("the guard on `{host}` does not answer, so nothing was drained there")))
    }

    /// Has the guard on `host`, if one was called there, take `line` down in the journal: its note of that `kind`.
    pub(super) async fn note(&self, host: &HostName, kind: &str, line: String) -> Result<(), Failure> {
        let Some(post) = self.hosts.get(host) else { return Ok(()) };
        match self.posts[post].tell(kind, line).await {
            Some(why) if why.is_empty() => Ok(()),
            Some(why) => Err(Failure::new(why)),
            None => Err(Failure::new("its guard does not answer")),
        }
    }

    /// Has the guard on `host` forget what it knows.
    pub(super) fn forget(&self, host: &HostName) {
        if let Some(post) = self.hosts.get(host) {
            self.posts[post].forget(None);
        }
    }

    /// Has the guard at the socket forget what it knows by `key`.
    pub(super) fn disarm(&self, host: &HostName, path: &str, key: &str) {
        if let Some(guard) = self.posts.get(&Post::Balancer(host.clone(), path.to_owned())) {
            guard.forget(Some(key.to_owned()));
        }
    }

    /// Lets all of them go.
    pub(super) async fn end(self) {
        join_all(self.posts.into_values().map(Guard::end)).await;
    }
}

impl Post {
    fn host(&self) -> &HostName {
        match self {
            Self::Balancer(host, _) | Self::Host(host, _) => host,
        }
    }
}

async fn standing(guard: &Guard) -> Result<u32, Failure> {
    match guard.settled(|_| {}).await {
        Standing::Held { acted } => Ok(acted),
        Standing::Gone(failure) => Err(failure),
        Standing::Busy(_) => Err(Failure::new("somebody else has taken the lock")),
        Standing::Broken => Err(Failure::new("somebody has broken the lock of this deploy")),
        Standing::Called(_) | Standing::Over => Err(Failure::new("its guard is gone")),
    }
}
