//! The state of a run as reporters show it, folded from its events. Pure: what time it is comes with the events.

use std::collections::BTreeSet;

use crate::engine::{Cancel, Failure, LaneEnd, LaneRef};
use crate::model::{HostName, Release, clean};
use crate::plan::{Action, OnFailure, Phase, Plan, Wave};

/// Where a run is.
#[derive(Debug, Clone)]
pub struct Board {
    /// The run's id.
    pub run: String,
    /// What is being done.
    pub plan: Plan,
    /// The time of the last event or tick, in seconds since the run began.
    pub now: f64,
    /// The wave that is open.
    pub wave: Option<usize>,
    /// Since when.
    pub wave_since: f64,
    /// Each lane of each wave.
    pub lanes: Vec<Vec<LaneNow>>,
    /// The hosts that failed, and why, in the order of failing.
    pub failed: Vec<(HostName, Failure)>,
    /// The floor lets no lane open: so many serve, and so many must.
    pub hold: Option<(usize, usize)>,
    /// The gate being watched: since when, and how long it takes in all.
    pub gate: Option<(f64, f64)>,
    /// What the watching of the gate says.
    pub gate_words: String,
    /// Somebody asked for an end.
    pub cancel: Option<Cancel>,
    /// Those of the fleet that serve, as far as known.
    pub(super) serving: Option<BTreeSet<HostName>>,
    /// How many lanes of each wave are done, because it is told at the end of each.
    pub(super) done: Vec<usize>,
    pub(super) look_failed: Option<String>,
    pub(super) wave_over: bool,
}

/// What one lane does now.
#[derive(Debug, Clone)]
pub struct LaneNow {
    /// Its state.
    pub doing: Doing,
    /// When it was opened.
    pub opened: f64,
    /// Since when it does what it does.
    pub since: f64,
    /// How far it is, in its own words; not trusted, but cleaned.
    pub said: String,
    /// The steps that it ended, and the seconds that each took.
    pub took: Vec<(String, f64)>,
}

/// The state of a lane.
#[derive(Debug, Clone, PartialEq)]
pub enum Doing {
    /// Not opened.
    Waiting,
    /// The step of this number.
    Step(usize),
    /// This is being taken back.
    Undo(Action),
    /// Over.
    Closed(LaneEnd),
}

impl Board {
    /// The board at the beginning of `plan`.
    #[must_use]
    pub fn new(run: &str, plan: Plan) -> Self {
        let lane = LaneNow { doing: Doing::Waiting, opened: 0.0, since: 0.0, said: String::new(), took: Vec::new() };
        Self {
            run: clean(run),
            lanes: plan.waves.iter().map(|wave| vec![lane.clone(); wave.lanes.len()]).collect(),
            done: vec![0; plan.waves.len()],
            plan,
            now: 0.0,
            wave: None,
            wave_since: 0.0,
            failed: Vec::new(),
            hold: None,
            gate: None,
            gate_words: String::new(),
            cancel: None,
            serving: None,
            look_failed: None,
            wave_over: true,
        }
    }

    /// What the lane does now; `None` if it does nothing.
    #[must_use]
    pub fn action(&self, at: LaneRef) -> Option<&Action> {
        match &self.lane(at)?.doing {
            Doing::Step(step) => Some(&self.plan.waves[at.wave].lanes[at.lane].steps.get(*step)?.action),
            Doing::Undo(action) => Some(action),
            Doing::Waiting | Doing::Closed(_) => None,
        }
    }

    /// The lane at `at`.
    #[must_use]
    pub fn lane(&self, at: LaneRef) -> Option<&LaneNow> {
        self.lanes.get(at.wave)?.get(at.lane)
    }

    /// The host of a lane of the plan.
    #[must_use]
    pub fn host(&self, at: LaneRef) -> &HostName {
        &self.plan.waves[at.wave].lanes[at.lane].host
    }

    /// The wave that is open, as planned.
    #[must_use]
    pub fn open_wave(&self) -> Option<&Wave> {
        self.plan.waves.get(self.wave?)
    }

    /// The lanes that do something now, those that do so for longest first.
    #[must_use]
    pub fn busy(&self) -> Vec<LaneRef> {
        let Some(wave) = self.wave else { return Vec::new() };
        let mut busy: Vec<LaneRef> = (0..self.lanes[wave].len())
            .map(|lane| LaneRef { wave, lane })
            .filter(|at| self.action(*at).is_some())
            .collect();
        busy.sort_by(|a, b| self.lanes[wave][a.lane].since.total_cmp(&self.lanes[wave][b.lane].since));
        busy
    }

    /// How many hosts serve, as far as the balancers have been asked.
    #[must_use]
    pub fn serving(&self) -> Option<usize> {
        self.serving.as_ref().map(BTreeSet::len)
    }

    /// How many lanes are done, and of how many: over all waves that switch hosts, or within the open wave.
    #[must_use]
    pub fn done(&self) -> (usize, usize) {
        let Some(open) = self.wave else { return (0, 0) };
        let switching = self.plan.waves[open].phase == Phase::Switch;
        let counted = |wave: usize| if switching { self.plan.waves[wave].phase == Phase::Switch } else { wave == open };
        let waves = || (0..self.lanes.len()).filter(|wave| counted(*wave));
        (waves().map(|wave| self.done[wave]).sum(), waves().map(|wave| self.lanes[wave].len()).sum())
    }

    /// `4 of 8 serve, 3 of 8 done`, as far as known.
    #[must_use]
    pub fn counts(&self) -> String {
        let (done, all) = self.done();
        let serving = self.serving().map(|serving| format!("serving {serving}/{}, ", self.plan.fleet.len()));
        format!("{}done {done}/{all}", serving.unwrap_or_default())
    }

    /// Whether nothing is wrong with the host of `at` if it is on its way back.
    #[must_use]
    pub fn goes_back_with_others(&self, at: LaneRef) -> bool {
        let fails = |(host, _): &(HostName, Failure)| host == self.host(at);
        self.plan.waves[at.wave].on_failure == OnFailure::TakeBack
            && self.cancel != Some(Cancel::Unwind)
            && !self.failed.iter().any(fails)
    }

    /// How the host of `at` is left, whose lane has come to `end` and was taken back.
    #[must_use]
    pub fn left(&self, at: LaneRef, end: &LaneEnd) -> &'static str {
        if end.leaves_app(&self.plan.waves[at.wave].lanes[at.lane]) {
            "current only: nothing to go back to"
        } else {
            "as it was before"
        }
    }

    /// What is shipped.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.plan.release
    }
}
