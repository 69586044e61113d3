//! The scheduler: what may start now, what must be undone, when it is over.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::floor::Room;
use super::lane::{Cause, LaneState, Undoing};
use super::{Cancel, Command, Fact, LaneEnd, LaneRef, StepResult};
use crate::model::{HostName, View};
use crate::plan::{Action, Gate, Phase, Plan, Wave};

/// The wait between two looks while the floor lets no lane open.
///
/// Balancers decide within one or two of their check intervals, which are seconds at most.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// So many looks in a row without a lane that may open end the deploy: a minute. A fleet that has not recovered by
/// itself in that time won't do so for the sake of a deploy.
const PATIENCE: u32 = 120;

/// A look that failed counts for so many, and the next one comes so much later: a balancer that can't be reached takes ten
/// seconds to say nothing, and 120 times that was half an hour. So it is two minutes.
const FAILED_LOOK: u32 = 20;

/// Turns facts into commands, wave by wave.
///
/// It keeps three promises: the floor (a lane opens only if enough hosts serve without it, on a view taken after the last
/// lane opened), the bound (`max-in-flight`), and the budget (after too many failures no lane opens).
#[derive(Debug, Clone)]
pub struct Scheduler {
    pub(super) plan: Arc<Plan>,
    pub(super) lanes: Vec<Vec<LaneState>>,
    /// How many lanes of each wave are open, and the first that may still wait: counting them anew at every fact would take
    /// longer than the deploy where there are thousands.
    pub(super) open: Vec<usize>,
    first_waiting: Vec<usize>,
    pub(super) wave: Option<usize>,
    failed: BTreeSet<HostName>,
    pub(super) stop: Option<Stop>,
    pub(super) wait: Wait,
    gates_passed: BTreeSet<usize>,
    /// Lanes that were done, and are to be undone because of others.
    pub(super) take_back: VecDeque<(LaneRef, Cause)>,
    /// Lanes of the open wave that wait for the others, in the order of coming; and whether the others have come.
    pub(super) met: VecDeque<LaneRef>,
    pub(super) all_met: bool,
    pub(super) fruitless_looks: u32,
    reason: Option<String>,
    /// What was cut off, by the host, in the step's words.
    pub(super) cut_off: Vec<(HostName, String)>,
    finished: bool,
    pub(super) commands: Vec<Command>,
}

/// What the next lane of the wave waits for, beyond the bound on open lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// It may open.
    Nothing,
    /// A look at the balancers.
    Look,
    /// The floor lets nobody open until an open lane closes.
    Lane,
    /// The gate between this wave and the next.
    Gate,
}

/// Why no other lane opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    Failed,
    Cancelled(Cancel),
}

impl Scheduler {
    /// A scheduler at the beginning of `plan`.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            lanes: plan.waves.iter().map(|wave| vec![LaneState::Waiting; wave.lanes.len()]).collect(),
            open: vec![0; plan.waves.len()],
            first_waiting: vec![0; plan.waves.len()],
            plan,
            wave: None,
            failed: BTreeSet::new(),
            stop: None,
            wait: Wait::Nothing,
            gates_passed: BTreeSet::new(),
            take_back: VecDeque::new(),
            met: VecDeque::new(),
            all_met: false,
            fruitless_looks: 0,
            reason: None,
            cut_off: Vec::new(),
            finished: false,
            commands: Vec::new(),
        }
    }

    /// Hears what happened and says what is to be done.
    pub fn on(&mut self, fact: Fact) -> Vec<Command> {
        match fact {
            Fact::Begin => {}
            Fact::StepFinished { at, result } => self.step_finished(at, result),
            Fact::UndoFinished { at, result } => self.undo_finished(at, result),
            Fact::Looked { view } => self.looked(&view),
            Fact::GateClosed { wave, result } => self.gate_closed(wave, result),
            Fact::CancelAsked { how } => self.cancel_asked(how),
        }
        self.advance();
        std::mem::take(&mut self.commands)
    }

    /// Whether somebody asked for an end before the deploy failed by itself.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        matches!(self.stop, Some(Stop::Cancelled(_)))
    }

    /// Why the deploy as a whole ended early, where that was no host's fault.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// How each lane ended, in the plan's order; lanes that never opened are untouched.
    pub fn ends(&self) -> impl Iterator<Item = (LaneRef, LaneEnd)> + '_ {
        self.lanes.iter().enumerate().flat_map(|(wave, lanes)| {
            lanes.iter().enumerate().map(move |(lane, state)| {
                let end = match state {
                    LaneState::Closed(end) => end.clone(),
                    _ => LaneEnd::Untouched,
                };
                (LaneRef { wave, lane }, end)
            })
        })
    }

    fn step_finished(&mut self, at: LaneRef, result: StepResult) {
        let LaneState::Running(step) = *self.state(at) else { return };
        self.note_cut(at, step, &result);
        match result {
            StepResult::Ok(_) => match self.turns_back(at) {
                Some(cause) => self.undo(at, step, cause),
                None if step + 1 == self.lane(at).steps.len() => self.close(at, LaneEnd::Done),
                None => self.go_on(at, step + 1),
            },
            StepResult::Failed(failure) | StepResult::Unknown(failure) => {
                self.count_failure(at);
                self.undo(at, step, Cause::Own(failure));
            }
        }
    }

    /// A user's own command may say what it likes.
    fn note_cut(&mut self, at: LaneRef, step: usize, result: &StepResult) {
        let lane = self.lane(at);
        let words = result.cut_off().filter(|_| !matches!(lane.steps[step].action, Action::Task { .. }));
        let found = words.map(|words| (lane.host.clone(), words.to_owned()));
        self.cut_off.extend(found);
    }

    fn undo_finished(&mut self, at: LaneRef, result: StepResult) {
        let LaneState::Undoing(undoing) = &mut self.lanes[at.wave][at.lane] else { return };
        undoing.hear(result);
        self.go_on_undoing(at);
    }

    fn looked(&mut self, view: &Result<View, String>) {
        self.wait = Wait::Nothing;
        let Some(wave) = self.wave else { return };
        if let Some(at) = self.take_back.front().map(|(at, _)| *at) {
            return self.looked_for_going_back(at, view);
        }
        if self.stop.is_some() {
            return;
        }
        let before = self.commands.len();
        // A look that failed says nothing about who serves, so nobody may be taken out.
        if let Ok(view) = view {
            let plan = self.plan.clone();
            let mut room = Room::of(&plan, &self.lanes[wave], wave, view);
            while let Some(at) = self.next_to_open(wave).filter(|at| room.is_for(at.lane)) {
                room.take(at.lane);
                self.perform(at, 0);
            }
        }
        if self.commands.len() > before {
            self.fruitless_looks = 0;
        } else if self.open_lanes(wave) == 0 {
            self.hold(wave, view);
        }
        if self.open_lanes(wave) > 0 && self.next_to_open(wave).is_some() {
            self.wait = Wait::Lane;
        }
    }

    /// Waits for the fleet to recover, or gives up.
    pub(super) fn hold(&mut self, wave: usize, view: &Result<View, String>) {
        self.fruitless_looks += if view.is_ok() { 1 } else { FAILED_LOOK };
        let floor = self.plan.waves[wave].min_serving.unwrap_or_default();
        let serving =
            view.as_ref().map(|view| self.plan.fleet.iter().filter(|host| view.serving.contains(*host)).count());
        if self.fruitless_looks > PATIENCE {
            self.stop = Some(Stop::Failed);
            if self.take_back.is_empty() {
                // Nobody else gets the release, so those go back that have it.
                self.send_back_with_others(wave);
            } else {
                self.take_back.clear();
            }
            self.fruitless_looks = 0;
            self.reason = Some(match serving {
                Ok(serving) => format!("{serving} hosts serve, and `min-serving` demands {floor} without the next one"),
                Err(why) => format!("the balancers could not be looked at: {why}"),
            });
            return;
        }
        if let (Ok(serving), 1) = (serving, self.fruitless_looks) {
            self.commands.push(Command::Hold { serving, floor });
        }
        self.look(if view.is_ok() { LOOK_AGAIN } else { LOOK_AGAIN * FAILED_LOOK });
    }

    fn gate_closed(&mut self, wave: usize, result: StepResult) {
        self.wait = Wait::Nothing;
        match result {
            StepResult::Ok(_) => {
                self.gates_passed.insert(wave);
            }
            StepResult::Failed(failure) | StepResult::Unknown(failure) => {
                self.stop = Some(Stop::Failed);
                self.send_back(wave, &Cause::Own(failure));
            }
        }
    }

    /// Opens what may open; goes on to the next wave when one is over.
    fn advance(&mut self) {
        while !self.finished {
            let Some(wave) = self.wave else {
                self.open_wave(0);
                continue;
            };
            self.go_back();
            self.meet(wave);
            if self.open_in_all() > 0 || self.wait == Wait::Gate || !self.take_back.is_empty() {
                self.open_more(wave);
                return;
            }
            if self.next_to_open(wave).is_some() && self.may_open(wave) {
                self.open_more(wave);
                return;
            }
            if self.watch_gate(wave) {
                return;
            }
            self.open_wave(wave + 1);
        }
    }

    fn open_wave(&mut self, from: usize) {
        let next = (from..self.plan.waves.len()).find(|wave| self.may_open(*wave) && !self.is_for_success(*wave));
        if let Some(wave) = next {
            self.wave = Some(wave);
            self.all_met = false;
            self.fruitless_looks = 0;
            self.commands.push(Command::OpenWave { wave });
            self.check_tasks(wave);
        } else {
            self.finished = true;
            self.commands.push(Command::Finish);
        }
    }

    /// A task none of whose hosts is left can't run, and passing over it in silence would be a lie.
    fn check_tasks(&mut self, wave: usize) {
        let Wave { phase, lanes, name, .. } = &self.plan.waves[wave];
        if *phase == Phase::Task && !lanes.is_empty() && lanes.iter().all(|lane| self.failed.contains(&lane.host)) {
            self.reason = Some(format!("every host that {name} would run on has failed before"));
            self.stop = Some(Stop::Failed);
        }
    }

    /// A wave for failures is passed over as long as nothing has failed.
    fn is_for_success(&self, wave: usize) -> bool {
        self.plan.waves[wave].phase == Phase::Failed && self.stop.is_none()
    }

    fn open_more(&mut self, wave: usize) {
        if !self.may_open(wave) || self.next_to_open(wave).is_none() || self.wait != Wait::Nothing {
            return;
        }
        // A floor of nobody allows everything, and a look at a fleet without balancers is one at each host.
        if self.plan.waves[wave].min_serving.is_some_and(|floor| floor > 0) {
            self.look(Duration::ZERO);
            return;
        }
        while let Some(at) = self.next_to_open(wave) {
            self.perform(at, 0);
        }
    }

    pub(super) fn look(&mut self, after: Duration) {
        self.wait = Wait::Look;
        self.commands.push(Command::Look { after });
    }

    /// The next lane that the bound leaves room for; hosts that failed before are passed over.
    pub(super) fn next_to_open(&mut self, wave: usize) -> Option<LaneRef> {
        if self.open_lanes(wave) >= self.plan.waves[wave].max_in_flight {
            return None;
        }
        let phase = self.plan.waves[wave].phase;
        let may = |at: &LaneRef| {
            matches!(self.state(*at), LaneState::Waiting)
                && (phase == Phase::Failed || !self.failed.contains(&self.lane(*at).host))
        };
        // No lane waits again once it was opened, and no host that failed is forgiven.
        let next = (self.first_waiting[wave]..self.lanes[wave].len()).map(|lane| LaneRef { wave, lane }).find(may);
        self.first_waiting[wave] = next.map_or(self.lanes[wave].len(), |at| at.lane);
        next
    }

    fn watch_gate(&mut self, wave: usize) -> bool {
        let Gate::Bake(duration) = self.plan.waves[wave].gate else { return false };
        if self.stop.is_some() || self.gates_passed.contains(&wave) {
            return false;
        }
        self.wait = Wait::Gate;
        self.commands.push(Command::WatchGate { wave, duration });
        true
    }

    pub(super) fn count_failure(&mut self, at: LaneRef) {
        self.failed.insert(self.lane(at).host.clone());
        let fatal = match self.plan.waves[at.wave].phase {
            Phase::Task | Phase::Finish => true,
            Phase::Prepare | Phase::Switch => self.failed.len() > self.plan.max_failures,
            Phase::Failed => false,
        };
        // A failure matters more than that somebody wanted an orderly end; lanes that are unwound fail by being so.
        if fatal && matches!(self.stop, None | Some(Stop::Cancelled(Cancel::Finish))) {
            self.stop = Some(Stop::Failed);
            self.send_back_with_others(at.wave);
        }
    }

    pub(super) fn perform(&mut self, at: LaneRef, step: usize) {
        self.put(at, LaneState::Running(step));
        self.commands.push(Command::Perform { at, step });
    }

    pub(super) fn undo(&mut self, at: LaneRef, step: usize, cause: Cause) {
        self.put(at, LaneState::Undoing(Undoing::new(self.lane(at), step, cause)));
        self.go_on_undoing(at);
    }

    fn go_on_undoing(&mut self, at: LaneRef) {
        let LaneState::Undoing(undoing) = self.state(at) else { return };
        if let Some((step, action)) = undoing.current().cloned() {
            self.commands.push(Command::Undo { at, step, action });
        } else {
            let end = undoing.clone().end();
            self.close(at, end);
        }
    }

    fn close(&mut self, at: LaneRef, end: LaneEnd) {
        self.put(at, LaneState::Closed(end.clone()));
        self.commands.push(Command::CloseLane { at, end });
    }
}
