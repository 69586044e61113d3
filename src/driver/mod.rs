//! The driver: performs what the scheduler commands and tells it what happened.
//!
//! [`run`] is the whole loop. It knows a fleet only as a [`World`], and whoever listens only as an [`Audience`].

mod acts;
mod cargo;
mod checks;
mod fleet;
mod guard;
mod guards;
mod hand;
mod history;
mod lost;
mod memory;
mod settle;
mod signals;
mod survey;
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::engine::{Cancel, Command, Event, Fact, LaneEnd, LaneRef, Scheduler};
use crate::model::{Failure, HostName, StepResult, friendly};
use crate::plan::{OnFailure, Phase, Plan};
use crate::transport::Progress;

pub use fleet::Fleet;
pub use guards::{LockHeld, Watchword};
pub use memory::check_memory;
pub use signals::cancels;
pub use survey::{Survey, preflight};
pub use world::{Deed, World};

/// How often an audience may redraw: often enough for a spinner to look alive.
const TICK: Duration = Duration::from_millis(100);

/// Whoever is told what happens.
pub trait Audience {
    /// Hears an event.
    fn hear(&mut self, event: Event);

    /// Hears that time passes.
    fn tick(&mut self);
}

/// Carries out `plan` on `world`, and returns the scheduler as it stands at the end.
pub async fn run<W: World>(
    plan: Arc<Plan>,
    world: Arc<W>,
    audience: &mut impl Audience,
    cancels: &mut mpsc::Receiver<Cancel>,
) -> Scheduler {
    let (heard, mut progress) = mpsc::unbounded_channel();
    let mut hands = Hands { plan: plan.clone(), world, running: JoinSet::new(), interrupts: BTreeMap::new(), heard };
    let mut scheduler = Scheduler::new(plan);
    let mut facts = VecDeque::from([Fact::Begin]);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        while let Some(fact) = facts.pop_front() {
            audience.hear(Event::Fact(fact.clone()));
            for command in scheduler.on(fact) {
                audience.hear(Event::Command(command.clone()));
                if command == Command::Finish {
                    return scheduler;
                }
                hands.start(command);
            }
        }
        // In this order, so that a run over a simulated fleet can be repeated; and a request to end is heard first.
        tokio::select! {
            biased;
            Some(how) = cancels.recv() => facts.push_back(Fact::CancelAsked { how }),
            Some((at, text)) = progress.recv() => audience.hear(Event::Progress { at, text }),
            Some(done) = hands.running.join_next() => match done {
                Ok(fact) => facts.push_back(fact),
                // A step that panics is a bug; the loop must not wait for it for ever.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            _ = ticks.tick() => audience.tick(),
        }
    }
}

/// Does what the scheduler commands, each in a task of its own.
struct Hands<W> {
    plan: Arc<Plan>,
    world: Arc<W>,
    running: JoinSet<Fact>,
    interrupts: BTreeMap<LaneRef, oneshot::Sender<()>>,
    heard: mpsc::UnboundedSender<(LaneRef, String)>,
}

impl<W: World> Hands<W> {
    fn start(&mut self, command: Command) {
        match command {
            Command::Perform { at, step } => {
                let lane = &self.plan.waves[at.wave].lanes[at.lane];
                let limit = lane.steps[step].timeout;
                self.act(at, Deed::of(lane, step), limit, |at, result| Fact::StepFinished { at, result });
            }
            Command::Undo { at, step, action } => {
                // The way back may take as long as the way there.
                let limit = self.plan.waves[at.wave].lanes[at.lane].steps.iter().map(|step| step.timeout).sum();
                self.act(at, Deed::back(action, step), limit, |at, result| Fact::UndoFinished { at, result });
            }
            Command::Interrupt { at } => {
                if let Some(interrupt) = self.interrupts.remove(&at) {
                    let _ = interrupt.send(());
                }
            }
            Command::Look { after } => {
                let world = self.world.clone();
                self.running.spawn(async move {
                    tokio::time::sleep(after).await;
                    Fact::Looked { view: world.look().await }
                });
            }
            Command::WatchGate { wave, duration } => {
                let world = self.world.clone();
                let hosts: Vec<HostName> = self.plan.waves[wave].lanes.iter().map(|lane| lane.host.clone()).collect();
                self.running
                    .spawn(async move { Fact::GateClosed { wave, result: world.bake(&hosts, duration).await } });
            }
            Command::CloseLane { at, end } => {
                let wave = &self.plan.waves[at.wave];
                // Hosts that may go back with the others are guarded until the deploy is confirmed, whatever tasks run before.
                if wave.phase == Phase::Switch && (wave.on_failure == OnFailure::Keep || end != LaneEnd::Done) {
                    self.world.forget(&wave.lanes[at.lane].host);
                }
            }
            Command::OpenWave { .. } | Command::Hold { .. } | Command::Finish => {}
        }
    }

    fn act(
        &mut self,
        at: LaneRef,
        deed: Deed,
        limit: Duration,
        fact: impl FnOnce(LaneRef, StepResult) -> Fact + Send + 'static,
    ) {
        let (world, heard) = (self.world.clone(), self.heard.clone());
        let host = self.plan.waves[at.wave].lanes[at.lane].host.clone();
        let (interrupt, interrupted) = oneshot::channel();
        self.interrupts.insert(at, interrupt);
        self.running.spawn(async move {
            let progress = Progress::to(move |text| {
                let _ = heard.send((at, text.to_owned()));
            });
            let result = tokio::select! {
                biased;
                result = timeout(limit, world.perform(&host, &deed, limit, progress)) => result
                    .unwrap_or_else(|_| StepResult::Unknown(Failure::new(format!("it took longer than {}", friendly(limit))))),
                Ok(()) = interrupted => StepResult::Unknown(Failure::new("it was interrupted")),
            };
            fact(at, result)
        });
    }
}
