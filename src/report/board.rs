//! The state of a run as reporters show it, folded from its events. Pure: what time it is comes with the events.

use std::collections::BTreeSet;

use super::News;
use crate::engine::{Cancel, Command, Event, Fact, Failure, LaneEnd, LaneRef, Stamped, StepResult};
use crate::model::{HostName, Release, clean};
use crate::plan::{Action, Phase, Plan, Wave};

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
    serving: Option<BTreeSet<HostName>>,
    look_failed: Option<String>,
    wave_over: bool,
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

    /// Folds one event in, and says what is new by it.
    pub fn fold(&mut self, stamped: &Stamped) -> Vec<News> {
        self.now = self.now.max(stamped.elapsed);
        let mut news = Vec::new();
        match &stamped.event {
            Event::Planned { .. } => news.push(News::Planned),
            Event::Command(command) => self.command(command, &mut news),
            Event::Fact(fact) => self.fact(fact, &mut news),
            Event::Progress { at, text } => self.progress(*at, text, &mut news),
            Event::Finished { .. } => self.end_wave(&mut news),
        }
        news
    }

    fn command(&mut self, command: &Command, news: &mut Vec<News>) {
        match command {
            Command::OpenWave { wave } => {
                self.end_wave(news);
                (self.wave, self.wave_since, self.wave_over) = (Some(*wave), self.now, false);
                news.push(News::WaveOpened(*wave));
            }
            Command::Perform { at, step } => {
                self.hold = None;
                self.begin(*at, Doing::Step(*step));
                if self.action(*at).is_some_and(|action| *action == Action::Drain) {
                    self.serves(*at, false);
                }
                news.push(News::StepStarted(*at));
            }
            Command::Undo { at, action } => {
                self.begin(*at, Doing::Undo(action.clone()));
                news.push(News::StepStarted(*at));
            }
            Command::CloseLane { at, end } => self.close(*at, end, news),
            Command::Hold { serving, floor } => {
                self.hold = Some((*serving, *floor));
                news.push(News::Held { serving: *serving, floor: *floor });
            }
            Command::WatchGate { wave, duration } => {
                self.end_wave(news);
                self.gate = Some((self.now, duration.as_secs_f64()));
                self.gate_words.clear();
                news.push(News::GateOpened { wave: *wave, duration: *duration });
            }
            Command::Finish => self.end_wave(news),
            Command::Look { .. } | Command::Interrupt { .. } => {}
        }
    }

    fn fact(&mut self, fact: &Fact, news: &mut Vec<News>) {
        match fact {
            Fact::Begin => {}
            Fact::StepFinished { at, result } | Fact::UndoFinished { at, result } => self.end_step(*at, result, news),
            Fact::Looked { view: Ok(view) } => {
                (self.serving, self.look_failed) = (Some(view.serving.clone()), None);
            }
            Fact::Looked { view: Err(why) } => {
                // Looks are repeated twice a second, and fail for the same reason.
                if self.look_failed.replace(clean(why)) != Some(clean(why)) {
                    news.push(News::LookFailed(clean(why)));
                }
            }
            Fact::GateClosed { wave, result } => {
                let took = self.gate.take().map_or(0.0, |(since, _)| self.now - since);
                news.push(News::GateClosed { wave: *wave, took, result: result.clone() });
            }
            Fact::CancelAsked { how } => {
                self.cancel = Some(*how);
                news.push(News::CancelAsked(*how));
            }
        }
    }

    fn progress(&mut self, at: LaneRef, text: &str, news: &mut Vec<News>) {
        let text = clean(text);
        if self.gate.is_some() {
            self.gate_words = text;
        } else if let Some(lane) = self.lane_mut(at) {
            lane.said = text;
            news.push(News::Progress(at));
        }
    }

    fn begin(&mut self, at: LaneRef, doing: Doing) {
        let now = self.now;
        let Some(lane) = self.lane_mut(at) else { return };
        if matches!(lane.doing, Doing::Waiting | Doing::Closed(_)) {
            (lane.opened, lane.took) = (now, Vec::new());
        }
        (lane.doing, lane.since) = (doing, now);
        lane.said.clear();
    }

    fn end_step(&mut self, at: LaneRef, result: &StepResult, news: &mut Vec<News>) {
        let now = self.now;
        let Some(action) = self.action(at).cloned() else { return };
        let Some(lane) = self.lane_mut(at) else { return };
        let (took, undo) = (now - lane.since, matches!(lane.doing, Doing::Undo(_)));
        lane.took.push((action.verb().to_owned(), took));
        match result {
            StepResult::Ok(_) if action == Action::Enable => self.serves(at, true),
            StepResult::Failed(failure) | StepResult::Unknown(failure) => {
                let host = self.host(at).clone();
                if self.failed.iter().all(|(one, _)| *one != host) {
                    self.failed.push((host, failure.clone()));
                }
            }
            StepResult::Ok(_) => {}
        }
        news.push(News::StepEnded { at, action, undo, took, result: result.clone() });
    }

    fn close(&mut self, at: LaneRef, end: &LaneEnd, news: &mut Vec<News>) {
        let now = self.now;
        let Some(lane) = self.lane_mut(at) else { return };
        lane.doing = Doing::Closed(end.clone());
        lane.said.clear();
        lane.since = now;
        let took = now - lane.opened;
        news.push(News::LaneEnded { at, end: end.clone(), took });
    }

    fn end_wave(&mut self, news: &mut Vec<News>) {
        if let (Some(wave), false) = (self.wave, self.wave_over) {
            self.wave_over = true;
            news.push(News::WaveEnded { wave, took: self.now - self.wave_since });
        }
    }

    fn serves(&mut self, at: LaneRef, whether: bool) {
        let host = self.host(at).clone();
        match &mut self.serving {
            Some(serving) if whether => drop(serving.insert(host)),
            Some(serving) => drop(serving.remove(&host)),
            None => {}
        }
    }

    fn lane_mut(&mut self, at: LaneRef) -> Option<&mut LaneNow> {
        self.lanes.get_mut(at.wave)?.get_mut(at.lane)
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
        let serving = self.serving.as_ref()?;
        Some(self.plan.fleet.iter().filter(|host| serving.contains(*host)).count())
    }

    /// How many lanes are done, and of how many: over all waves that switch hosts, or within the open wave.
    #[must_use]
    pub fn done(&self) -> (usize, usize) {
        let Some(open) = self.wave else { return (0, 0) };
        let switching = self.plan.waves[open].phase == Phase::Switch;
        let counted = |wave: usize| if switching { self.plan.waves[wave].phase == Phase::Switch } else { wave == open };
        let lanes = || (0..self.lanes.len()).filter(|wave| counted(*wave)).flat_map(|wave| &self.lanes[wave]);
        (lanes().filter(|lane| lane.doing == Doing::Closed(LaneEnd::Done)).count(), lanes().count())
    }

    /// `4 of 8 serve, 3 of 8 done`, as far as known.
    #[must_use]
    pub fn counts(&self) -> String {
        let (done, all) = self.done();
        let serving = self.serving().map(|serving| format!("serving {serving}/{}, ", self.plan.fleet.len()));
        format!("{}done {done}/{all}", serving.unwrap_or_default())
    }

    /// What is shipped.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.plan.release
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_with_a_look_is_told_once() {
        let plan = serde_json::json!({
            "environment": "e", "recipe": "r", "strategy": "rolling", "replaces": [], "fleet": [],
            "release": { "id": "20261120-224512-1a2b3c4d", "fingerprint": "0".repeat(40), "origin": "" },
            "max_failures": 0, "waves": [],
        });
        let mut board = Board::new("r", serde_json::from_value(plan).unwrap());
        let mut look = |view: Result<(), &str>| {
            let view = view.map(|()| crate::model::View::default()).map_err(str::to_owned);
            board.fold(&Stamped { elapsed: 1.0, event: Event::Fact(Fact::Looked { view }) }).len()
        };
        let looks = [Err("a"), Err("a"), Err("b"), Ok(()), Err("b")];
        assert_eq!(looks.map(&mut look), [1, 0, 1, 0, 1]);
    }
}
