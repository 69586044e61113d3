//! A guard as it is seen from here: called to its host, kept awake, spoken with, and called again when the line to it breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::model::{Failure, StepResult};
use crate::remote::{GUARD_GRACE, GUARD_LEASE, judge};
use crate::transport::{ExecError, Output, Progress, Script, Session};

/// How often a guard hears of us: three times in a lease.
const BEAT: Duration = Duration::from_secs(3);

/// The pause before calling a guard again to a host whose line broke.
const AGAIN: Duration = Duration::from_millis(300);

/// How long a guard may take to say that it stands: an exec, on a busy host. One that waits for another says so.
const CALL: Duration = Duration::from_secs(30);

/// How long it may take to hear that it knows something, or that the deploy is over.
const WORD: Duration = Duration::from_secs(5);

/// Where a guard stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was called. What it waits for, if it does.
    Called(Option<String>),
    /// It holds the lock. How often one of its kind has acted in this run: then what it knew has been undone.
    Held {
        /// So often.
        acted: u32,
    },
    /// Somebody else holds the lock; in these lines of `name value`.
    Busy(Vec<String>),
    /// It can't stand there, or is lost for good.
    Gone(Failure),
    /// Somebody has broken the lock of this run: the guard puts back what it knows, and no other follows it.
    Broken,
    /// The deploy is over, and it knows.
    Over,
}

/// What it is told.
enum Order {
    Tell { key: String, line: String, told: oneshot::Sender<String> },
    Forget(Option<String>),
    End,
}

/// A guard on one host.
pub(super) struct Guard {
    orders: mpsc::UnboundedSender<Order>,
    standing: watch::Receiver<Standing>,
    /// When it last said a word.
    heard: watch::Receiver<Instant>,
    keeper: JoinHandle<()>,
}

impl Guard {
    /// Calls a guard over `session`. `script` makes its script; with `true` for one that takes over from an earlier one.
    pub(super) fn call<S: Session>(session: Arc<S>, script: impl Fn(bool) -> Script + Send + Sync + 'static) -> Self {
        let (orders, heard) = mpsc::unbounded_channel();
        let (tell, standing) = watch::channel(Standing::Called(None));
        let (note, last) = watch::channel(Instant::now());
        let keeper = Keeper {
            note,
            orders: heard,
            standing: tell,
            acted: 0,
            stands: false,
            unheard: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            holder: Vec::new(),
        };
        Self { orders, standing, heard: last, keeper: tokio::spawn(keeper.keep(session, script)) }
    }

    /// How it stands now.
    pub(super) fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// How it stands once that is known; `waits` hears what it waits for meanwhile.
    pub(super) async fn settled(&self, waits: impl Fn(&str)) -> Standing {
        let mut standing = self.standing.clone();
        let mut end = Instant::now() + CALL;
        loop {
            let now = standing.borrow_and_update().clone();
            match &now {
                Standing::Called(Some(what)) => {
                    waits(what);
                    // It has a limit of its own for that.
                    end = Instant::now() + Duration::from_hours(1);
                }
                Standing::Called(None) => {}
                _ => return now,
            }
            match tokio::time::timeout_at(end, standing.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Standing::Gone(Failure::new("its guard does not answer")),
            }
        }
    }

    /// Whether it has said a word lately, or says one now: it answers each beat. A host that is cut off does not, and its guard acts
    /// when its lease ends.
    pub(super) async fn is_awake(&self) -> bool {
        let mut heard = self.heard.clone();
        let fresh = heard.wait_for(|at| at.elapsed() < BEAT * 2);
        matches!(timeout(GUARD_LEASE, fresh).await, Ok(Ok(_)))
    }

    /// Tells it `line`, which it answers by `key`. Why it can't do that, in its words, or no words if it did; `None` if it gives no answer.
    pub(super) async fn tell(&self, key: &str, line: String) -> Option<String> {
        let (told, done) = oneshot::channel();
        self.orders.send(Order::Tell { key: key.to_owned(), line, told }).ok()?;
        // A line that breaks meanwhile has to be noticed and made again.
        timeout(GUARD_LEASE + WORD, done).await.ok()?.ok()
    }

    /// Has it forget what it knows, or what it knows by `key`.
    pub(super) fn forget(&self, key: Option<String>) {
        let _ = self.orders.send(Order::Forget(key));
    }

    /// Lets it go: the deploy is over.
    pub(super) async fn end(self) {
        let _ = self.orders.send(Order::End);
        let _ = timeout(WORD, self.keeper).await;
    }
}

/// The other end of it.
struct Keeper {
    orders: mpsc::UnboundedReceiver<Order>,
    standing: watch::Sender<Standing>,
    note: watch::Sender<Instant>,
    acted: u32,
    /// Whether a guard has said that it stands, and none has acted since.
    stands: bool,
    /// The lines that were told and not yet answered, by the key of the answer.
    unheard: BTreeMap<String, (String, oneshot::Sender<String>)>,
    /// What it was told to forget: nothing says that it has heard, and the line may just have broken.
    forgotten: BTreeSet<String>,
    /// What is known of who holds the lock.
    holder: Vec<String>,
}

/// How a talk with a guard ended.
enum Parting {
    /// The last word was said.
    Final,
    /// The line broke, or the guard was killed: another may take over.
    Lost,
    /// The guard has acted. A new one has nothing to take over.
    Acted,
}

impl Keeper {
    async fn keep<S: Session>(mut self, session: Arc<S>, script: impl Fn(bool) -> Script + Send + Sync + 'static) {
        let mut again = false;
        let mut stood = Instant::now();
        loop {
            match self.talk(&*session, &script(again), &mut stood).await {
                Parting::Final => return,
                Parting::Lost if stood.elapsed() > GUARD_LEASE + GUARD_GRACE => {
                    self.tell(Standing::Gone(Failure::new("the line to its guard broke, and did not come back")));
                    return;
                }
                // One that never stood has left nothing to take over.
                Parting::Lost => again = self.stands,
                Parting::Acted => {
                    self.acted += 1;
                    (again, self.stands) = (false, false);
                }
            }
            self.tell(Standing::Called(None));
            sleep(AGAIN).await;
        }
    }

    async fn talk<S: Session>(&mut self, session: &S, script: &Script, stood: &mut Instant) -> Parting {
        let (lines, input) = mpsc::unbounded_channel();
        let (said, mut heard) = mpsc::unbounded_channel();
        let progress = Progress::to(move |word| drop(said.send(word.to_owned())));
        let talk = session.converse(script, input, &progress);
        tokio::pin!(talk);
        let mut beats = interval_at(Instant::now() + BEAT, BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        let ended = loop {
            tokio::select! {
                biased;
                Some(word) = heard.recv() => {
                    *stood = Instant::now();
                    self.note.send_replace(*stood);
                    last = self.hear(&word, &lines, last);
                }
                ended = &mut talk => break ended,
                order = self.orders.recv() => match order {
                    Some(order) => self.pass_on(order, &lines),
                    // Nobody is left who could say more: it is a guard's business to know what that means.
                    None => return Parting::Final,
                },
                _ = beats.tick() => drop(lines.send("beat".to_owned())),
            }
        };
        while let Ok(word) = heard.try_recv() {
            last = self.hear(&word, &lines, last);
        }
        last.unwrap_or_else(|| self.judge(ended))
    }

    /// Hears a word of the guard's. What the talk ends with, by that word or by an earlier one: a guard whose lock is broken acts,
    /// too, and no other may follow it for that.
    fn hear(&mut self, word: &str, lines: &mpsc::UnboundedSender<String>, earlier: Option<Parting>) -> Option<Parting> {
        let meant = self.mean(word, lines);
        earlier.or(meant)
    }

    /// What a word means for the talk, if it is the last one.
    fn mean(&mut self, word: &str, lines: &mpsc::UnboundedSender<String>) -> Option<Parting> {
        let (verb, rest) = word.split_once(' ').unwrap_or((word, ""));
        match verb {
            "held" => {
                self.stands = true;
                self.tell(Standing::Held { acted: self.acted });
                for key in &self.forgotten {
                    let _ = lines.send(format!("forget {key}"));
                }
                for (line, _) in self.unheard.values() {
                    let _ = lines.send(line.clone());
                }
            }
            "armed" | "noted" => {
                let (key, why) = rest.split_once(' ').unwrap_or((rest, ""));
                if let Some((_, told)) = self.unheard.remove(key) {
                    let _ = told.send(why.to_owned());
                }
            }
            "waits" => self.tell(Standing::Called(Some(rest.to_owned()))),
            "holder" => self.holder.push(rest.to_owned()),
            "busy" => {
                let holder = std::mem::take(&mut self.holder);
                self.tell(Standing::Busy(holder));
                return Some(Parting::Final);
            }
            "broken" => {
                self.tell(Standing::Broken);
                return Some(Parting::Final);
            }
            // The second is what a guard says that came too late to take over.
            "acts" | "acted" => return Some(Parting::Acted),
            "ended" => {
                self.tell(Standing::Over);
                return Some(Parting::Final);
            }
            _ => {}
        }
        None
    }

    fn pass_on(&mut self, order: Order, lines: &mpsc::UnboundedSender<String>) {
        let line = match order {
            Order::Tell { key, line, told } => {
                self.forgotten.remove(&key);
                self.unheard.insert(key, (line.clone(), told));
                line
            }
            Order::Forget(Some(key)) => {
                let line = format!("forget {key}");
                self.forgotten.insert(key);
                line
            }
            Order::Forget(None) => "forget".to_owned(),
            Order::End => "end".to_owned(),
        };
        let _ = lines.send(line);
    }

    fn judge(&mut self, ended: Result<Output, ExecError>) -> Parting {
        match ended {
            Ok(output) if output.stdout.starts_with("fail ") => match judge(Ok(output)) {
                StepResult::Failed(failure) | StepResult::Unknown(failure) => self.tell(Standing::Gone(failure)),
                StepResult::Ok(_) => return Parting::Lost,
            },
            // Killed, or cut off.
            _ => return Parting::Lost,
        }
        Parting::Final
    }

    fn tell(&self, standing: Standing) {
        self.standing.send_replace(standing);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::path::PathBuf;
    use std::sync::Mutex;

    use super::*;
    use crate::transport::Parcel;

    /// In the words of a guard: it hears a line.
    const HEARS: &str = "(hears)";

    /// A host whose guards say these words and go, one after the other, as do all after them without a word.
    #[derive(Default)]
    struct Says {
        talks: Mutex<VecDeque<&'static [&'static str]>>,
        /// What the last one heard.
        heard: Mutex<Vec<String>>,
    }

    impl Says {
        fn all(talks: impl IntoIterator<Item = &'static [&'static str]>) -> Arc<Self> {
            Arc::new(Self { talks: Mutex::new(talks.into_iter().collect()), ..Self::default() })
        }
    }

    impl Session for Says {
        async fn run(&self, _: &Script, _: Duration, _: &Progress) -> Result<Output, ExecError> {
            unreachable!()
        }

        async fn upload(&self, _: &Parcel, _: Duration, _: &Progress) -> Result<Output, ExecError> {
            unreachable!()
        }

        async fn converse(
            &self,
            _: &Script,
            mut input: mpsc::UnboundedReceiver<String>,
            heard: &Progress,
        ) -> Result<Output, ExecError> {
            self.heard.lock().unwrap().clear();
            let words = self.talks.lock().unwrap().pop_front().unwrap_or_default();
            for word in words {
                if *word == HEARS {
                    let line = input.recv().await.unwrap();
                    self.heard.lock().unwrap().push(line);
                } else {
                    heard.say(word);
                }
            }
            Ok(Output::default())
        }

        async fn forward(&self, _: &str) -> Result<PathBuf, ExecError> {
            unreachable!()
        }

        async fn close(self) {}
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_settled_as_the_line_broke_is_settled_when_it_is_back() {
        let host = Says::all([&["held", HEARS][..], &["held", HEARS, "ended"]]);
        let guard = Guard::call(host.clone(), |_| Script::new(""));
        guard.forget(Some("web1.0".to_owned()));
        guard.keeper.await.unwrap();
        assert_eq!(*host.heard.lock().unwrap(), ["forget web1.0"]);
    }

    #[tokio::test]
    async fn no_guard_follows_one_whose_lock_was_broken_though_it_acted() {
        let guard = Guard::call(Says::all([&["held", "broken", "put web1.0", "acts"][..]]), |_| Script::new(""));
        guard.keeper.await.unwrap();
        assert_eq!(*guard.standing.borrow(), Standing::Broken);
    }

    #[tokio::test(start_paused = true)]
    async fn a_guard_that_was_cut_off_before_it_stood_is_called_anew_and_not_to_take_over() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let heard = calls.clone();
        let guard = Guard::call(Says::all([]), move |again| {
            heard.lock().unwrap().push(again);
            Script::new("")
        });
        guard.keeper.await.unwrap();
        let calls = calls.lock().unwrap();
        assert!(calls.len() > 1 && calls.iter().all(|again| !again), "{calls:?}");
    }
}
