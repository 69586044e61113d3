//! How events change the board, and what is new by each.

use super::board::{Board, Doing, LaneNow};
use super::news::News;
use crate::engine::{Cancel, Command, Event, Fact, LaneEnd, LaneRef, Stamped, StepResult};
use crate::model::{Until, clean};
use crate::plan::Action;

impl Board {
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
            Command::Undo { at, action, .. } => {
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
                let fleet = self.plan.fleet.iter().filter(|host| view.serving.contains(*host));
                (self.serving, self.look_failed) = (Some(fleet.cloned().collect()), None);
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
        let was_done = lane.doing == Doing::Closed(LaneEnd::Done);
        (lane.doing, lane.since) = (doing, now);
        lane.said.clear();
        self.done[at.wave] -= usize::from(was_done);
    }

    fn end_step(&mut self, at: LaneRef, result: &StepResult, news: &mut Vec<News>) {
        let now = self.now;
        let Some(action) = self.action(at).cloned() else { return };
        let Some(lane) = self.lane_mut(at) else { return };
        let (took, undo) = (now - lane.since, matches!(lane.doing, Doing::Undo(_)));
        lane.took.push((action.verb().to_owned(), took));
        match result {
            StepResult::Ok(_) if matches!(action, Action::Enable { until: Until::Up }) => self.serves(at, true),
            // Cut off because somebody wants an end: that is no failure of the host.
            StepResult::Unknown(_) if self.cancel == Some(Cancel::Unwind) && !undo => {}
            StepResult::Failed(failure) | StepResult::Unknown(failure) => {
                let host = self.host(at).clone();
                if self.failed.iter().all(|(one, _)| *one != host) {
                    self.failed.push((host, failure.clone()));
                }
            }
            StepResult::Ok(_) => {}
        }
        self.wait_if_met(at, result);
        news.push(News::StepEnded { at, action, undo, took, result: result.clone() });
    }

    /// Shows that a lane waits for the others, if that is what its next step is: nobody commands it.
    fn wait_if_met(&mut self, at: LaneRef, result: &StepResult) {
        let Some(Doing::Step(step)) = self.lane(at).map(|lane| lane.doing.clone()) else { return };
        let next = self.plan.waves[at.wave].lanes[at.lane].steps.get(step + 1);
        if matches!(result, StepResult::Ok(_)) && next.is_some_and(|next| next.action == Action::Meet) {
            self.begin(at, Doing::Step(step + 1));
        }
    }

    fn close(&mut self, at: LaneRef, end: &LaneEnd, news: &mut Vec<News>) {
        let now = self.now;
        let Some(lane) = self.lane_mut(at) else { return };
        lane.doing = Doing::Closed(end.clone());
        lane.said.clear();
        lane.since = now;
        let took = now - lane.opened;
        self.done[at.wave] += usize::from(*end == LaneEnd::Done);
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
