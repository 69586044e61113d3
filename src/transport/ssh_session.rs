//! A session over OpenSSH: one connection, made again when it breaks, and what runs over it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use openssh::{ForwardType, Socket};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::connect_error::last_words;
use super::exec::{Fault, Input, chain, exec};
use super::frame::{Nonce, Stdin, framed};
use super::site::{Link, Site};
use super::{ConnectError, ExecError, Output, Parcel, Progress, Script, Session};
use crate::model::Host;

/// How many connections that sshd opens nothing on any more are kept for what still runs or is forwarded on them.
const MOST_RETIRED: usize = 2;

/// When to try again on a connection that sshd opens nothing on: a busy host may take a second to notice what has ended.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(600)];

/// A session of [`super::OpenSsh`].
///
/// When its connection breaks, the calls on it end with [`ExecError::Lost`], and the next call connects again, so that
/// the caller can look at what happened.
#[derive(Debug)]
pub struct SshSession {
    site: Arc<Site>,
    host: Host,
    execs: Semaphore,
    links: Mutex<Links>,
}

#[derive(Debug)]
struct Links {
    current: Arc<Link>,
    retired: Vec<Arc<Link>>,
    failed: Option<(Instant, ConnectError)>,
}

impl SshSession {
    pub(super) fn new(site: Arc<Site>, host: Host, link: Link) -> Self {
        let execs = Semaphore::new(site.limits().execs_per_session);
        let links = Links { current: Arc::new(link), retired: Vec::new(), failed: None };
        Self { site, host, execs, links: Mutex::new(links) }
    }

    /// The connection, made again if it is not there.
    async fn link(&self) -> Result<Arc<Link>, ExecError> {
        let called = Instant::now();
        let mut links = self.links.lock().await;
        if !links.current.is_up() {
            // Those who waited while somebody else tried share what came of it.
            let failed = links.failed.take_if(|(at, _)| *at < called);
            let done = match (failed, &links.failed) {
                (None, Some((_, error))) => Err(error.clone()),
                _ => self.site.open(&self.host).await,
            };
            match done {
                Ok(link) => links.current = Arc::new(link),
                Err(error) => {
                    let text = format!("the connection could not be made again: {error}");
                    links.failed = Some((Instant::now(), error));
                    return Err(ExecError::Lost(text));
                }
            }
        }
        Ok(Arc::clone(&links.current))
    }

    /// Puts another connection in the place of `full`, on which sshd opens nothing any more: executions that timed out here
    /// go on there and count.
    async fn retire(&self, full: &Arc<Link>) -> Result<(), ExecError> {
        let mut links = self.links.lock().await;
        if Arc::ptr_eq(&links.current, full) {
            let opened = self.site.open(&self.host).await.map_err(|error| ExecError::Lost(error.to_string()))?;
            let full = std::mem::replace(&mut links.current, Arc::new(opened));
            links.retired.push(full);
            if links.retired.len() > MOST_RETIRED {
                links.retired.remove(0);
            }
        }
        Ok(())
    }

    async fn execute(&self, input: Input<'_>, deadline: Duration, progress: &Progress) -> Result<Output, ExecError> {
        // Boxed here and in `Site::open`: with all that a call is made of in every future above it, the compiler gives up on their depth.
        let attempt = Box::pin(async {
            let _permit = self.execs.acquire().await;
            let link = self.link().await?;
            match exec(&link.session, input, None, progress).await {
                Ok(output) => Ok(output),
                Err(Fault::Broken(why)) => Err(self.lost(&link, &why).await),
                Err(Fault::Refused(_)) => self.execute_when_refused(link, input, progress).await,
            }
        });
        if let Ok(done) = timeout(deadline, attempt).await {
            return done;
        }
        // A master that hangs must not cost the next call its deadline too. If somebody is connecting, it is known.
        if let Ok(links) = self.links.try_lock() {
            let link = Arc::clone(&links.current);
            drop(links);
            link.judge(self.site.limits().word).await;
        }
        Err(ExecError::TimedOut(deadline))
    }

    /// Tries again what sshd refused to open: in a moment, as it may not have noticed the end of an earlier one yet, and then on
    /// another connection.
    async fn execute_when_refused(
        &self,
        full: Arc<Link>,
        input: Input<'_>,
        progress: &Progress,
    ) -> Result<Output, ExecError> {
        for pause in PAUSES {
            sleep(pause).await;
            match exec(&full.session, input, None, progress).await {
                Ok(output) => return Ok(output),
                Err(Fault::Broken(why)) => return Err(self.lost(&full, &why).await),
                Err(Fault::Refused(_)) => {}
            }
        }
        self.retire(&full).await?;
        let link = self.link().await?;
        match exec(&link.session, input, None, progress).await {
            Ok(output) => Ok(output),
            Err(Fault::Broken(why) | Fault::Refused(why)) => Err(self.lost(&link, &why).await),
        }
    }

    /// The error for what broke on `link`, with ssh's last words if the connection is gone.
    async fn lost(&self, link: &Link, why: &str) -> ExecError {
        link.judge(self.site.limits().word).await;
        let said = if link.is_up() { None } else { last_words(link.master.log()) };
        ExecError::Lost(said.unwrap_or_else(|| why.to_owned()))
    }
}

impl Session for SshSession {
    async fn run(&self, script: &Script, deadline: Duration, progress: &Progress) -> Result<Output, ExecError> {
        let nonce = Nonce::new();
        let text = framed(script, &nonce, Stdin::Empty);
        self.execute(Input::Script(&text, &nonce), deadline, progress).await
    }

    async fn upload(&self, parcel: &Parcel, deadline: Duration, progress: &Progress) -> Result<Output, ExecError> {
        self.execute(Input::Parcel(parcel), deadline, progress).await
    }

    async fn converse(
        &self,
        script: &Script,
        lines: UnboundedReceiver<String>,
        heard: &Progress,
    ) -> Result<Output, ExecError> {
        let nonce = Nonce::new();
        let text = framed(script, &nonce, Stdin::Data);
        let link = self.link().await?;
        match exec(&link.session, Input::Talk(&text, &nonce), Some(lines), heard).await {
            Ok(output) => Ok(output),
            Err(Fault::Broken(why) | Fault::Refused(why)) => Err(self.lost(&link, &why).await),
        }
    }

    async fn forward(&self, remote: &str) -> Result<PathBuf, ExecError> {
        let link = self.link().await?;
        let local = self.site.socket();
        let from = Socket::UnixSocket { path: Cow::Borrowed(&local) };
        let to = Socket::UnixSocket { path: Cow::Borrowed(Path::new(remote)) };
        let word = self.site.limits().word;
        match timeout(word, link.session.request_port_forward(ForwardType::Local, from, to)).await {
            Ok(Ok(())) => Ok(local),
            Ok(Err(error)) => Err(self.lost(&link, &chain(&error)).await),
            Err(_) => {
                link.judge(word).await;
                Err(ExecError::TimedOut(word))
            }
        }
    }

    async fn close(self) {
        let links = self.links.into_inner();
        let all = links.retired.iter().chain([&links.current]);
        let limit = self.site.limits().close;
        futures::future::join_all(all.map(|link| link.master.close(self.site.leash(), limit))).await;
    }
}
