//! The log of a CI job: one stamped line a change, greppable, nothing that moves.

use std::collections::BTreeMap;

use super::still::{stamp, still};
use super::{Board, Console, News, Render, Verbosity, seconds};
use crate::engine::{Cancel, Failure, LaneEnd, LaneRef, Stamped, StepResult};
use crate::model::{Paint, Sign, Tone, clean, friendly, ranges};
use crate::plan::{Action, Phase, Wave};

/// A job without a line for this long looks stuck, to people and to some CI systems.
const SILENCE: f64 = 30.0;

/// A fleet up to this size gets a line for each step that users feel; a larger one a line for each host.
const SMALL: usize = 12;

/// So many lines of a failed command stand in the log; all that is known stands in the summary.
const EXCERPT: usize = 5;

/// So many failures have such lines. Where many hosts fail, they fail alike.
const EXCERPTS: usize = 3;

/// With `-v`, a lane's progress gets a line this often at most.
const PROGRESS_EVERY: f64 = 5.0;

/// Writes the log.
pub struct Plain {
    console: Console,
    paint: Paint,
    verbosity: Verbosity,
    last: f64,
    host_width: usize,
    excerpts: usize,
    progress: BTreeMap<LaneRef, f64>,
}

/// How much of a wave is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// That it is over.
    Total,
    /// A line for each host.
    Hosts,
    /// A line for each step of consequence.
    Steps,
}

impl Plain {
    /// A log on `console`.
    #[must_use]
    pub fn new(console: Console, paint: Paint, verbosity: Verbosity) -> Self {
        Self { console, paint, verbosity, last: 0.0, host_width: 0, excerpts: 0, progress: BTreeMap::new() }
    }

    fn line(&mut self, at: f64, host: &str, verb: &str, words: &str, tail: &str) {
        self.last = at;
        let (verb, host) = (format!("{verb:<8}"), format!("{host:<width$}", width = self.host_width));
        let words = if tail.is_empty() { words.to_owned() } else { format!("{words:<38}  {}", self.paint.dim(tail)) };
        let line = format!("{}  {host}  {verb} {words}", self.paint.dim(stamp(at)));
        self.console.say(line.trim_end());
    }

    fn tell(&mut self, board: &Board, news: &News) {
        match news {
            News::Planned => self.planned(board),
            News::WaveOpened(wave) => self.wave_opened(board, *wave),
            News::WaveEnded { wave, took } => self.wave_ended(board, *wave, *took),
            News::StepStarted(at) if self.verbosity == Verbosity::Verbose => {
                let action = board.action(*at).map(Action::short).unwrap_or_default().to_owned();
                let part = board.action(*at).map(part_of).unwrap_or_default();
                self.line(board.now, board.host(*at).as_str(), &action, &format!("{part}start"), "");
            }
            News::Progress(at) if self.verbosity == Verbosity::Verbose => self.progress(board, *at),
            News::StepEnded { at, action, undo, took, result } => {
                self.step_ended(board, *at, action, *undo, *took, result);
            }
            News::LaneEnded { at, end, took } => self.lane_ended(board, *at, end, *took),
            News::Held { serving, floor } => {
                let words = format!("no host may leave: {serving} serve, and {floor} must without it");
                self.line(board.now, "-", "hold", &self.paint.wait(words), "");
            }
            News::LookFailed(why) => {
                let words = self.paint.wait(format!("the balancers can't be looked at: {why}"));
                self.line(board.now, "-", "look", &words, "");
            }
            News::GateOpened { wave, duration } => {
                let words = format!("{} for {}", hosts_of(&board.plan.waves[*wave]), friendly(*duration));
                self.line(board.now, "-", "watch", &words, &board.counts());
            }
            News::GateClosed { took, result, .. } => self.gate_closed(board, *took, result),
            News::CancelAsked(how) => {
                let words = match how {
                    Cancel::Finish => "asked for: open hosts are finished, no other begins",
                    Cancel::Unwind => "asked for: open hosts are put back now",
                };
                self.line(board.now, "-", "cancel", &self.paint.wait(words), "");
            }
            News::StepStarted(_) | News::Progress(_) => {}
        }
    }

    fn planned(&mut self, board: &Board) {
        let plan = &board.plan;
        let words = format!("{} {} by {}", plan.environment, plan.headline(self.paint), plan.strategy);
        self.line(board.now, "-", "plan", &self.paint.bold(words), "");
        self.line(board.now, "-", "run", &board.run, "");
    }

    fn wave_opened(&mut self, board: &Board, wave: usize) {
        let Some(open) = board.plan.waves.get(wave) else { return };
        if open.phase == Phase::Switch {
            let words = format!("{}: {}, {}", clean(&open.name), hosts_of(open), open.limits());
            self.line(board.now, "-", "wave", &words, "");
        }
    }

    fn wave_ended(&mut self, board: &Board, wave: usize, took: f64) {
        let Some(lanes) = board.lanes.get(wave).filter(|_| self.detail(board, wave) == Detail::Total) else { return };
        let closed = |end: fn(&LaneEnd) -> bool| {
            lanes.iter().filter(|lane| matches!(&lane.doing, super::Doing::Closed(it) if end(it))).count()
        };
        let done = closed(|end| *end == LaneEnd::Done);
        let failed = closed(|end| *end != LaneEnd::Done);
        let slowest = lanes
            .iter()
            .zip(&board.plan.waves[wave].lanes)
            .map(|(lane, planned)| (lane.took.iter().map(|(_, took)| took).sum::<f64>(), &planned.host))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|_| lanes.len() > 1)
            .map(|(took, host)| format!(", slowest {host} {}", seconds(took)));
        let name = clean(&board.plan.waves[wave].name);
        let words = format!(
            "{name}: {done} of {} hosts ok in {}{}{}",
            lanes.len(),
            seconds(took),
            slowest.unwrap_or_default(),
            if failed > 0 { format!(", {failed} failed") } else { String::new() },
        );
        let tone = if done == lanes.len() { Tone::Plain } else { Tone::Wait };
        self.line(board.now, "-", "wave", &self.paint.tone(tone, words), "");
    }

    fn step_ended(&mut self, board: &Board, at: LaneRef, action: &Action, undo: bool, took: f64, result: &StepResult) {
        let host = board.host(at).clone();
        let (label, took) = (action.short().to_owned(), seconds(took));
        let back = format!("{}{}", if undo { "undo " } else { "" }, part_of(action));
        match result {
            StepResult::Ok(words) => {
                let felt = matches!(action, Action::Drain | Action::Enable { .. } | Action::Health { .. })
                    || matches!(action, Action::Route { .. } | Action::Task { .. } | Action::Clear { .. });
                let wanted = match self.detail(board, at.wave) {
                    _ if self.verbosity == Verbosity::Verbose => true,
                    // Many go back at once and alike: that they are back is enough.
                    Detail::Steps if undo && board.goes_back_with_others(at) => false,
                    Detail::Steps => felt || undo,
                    Detail::Total | Detail::Hosts => false,
                };
                if !wanted {
                    return;
                }
                let seen = if words.is_empty() { String::new() } else { format!(" ({})", clean(words)) };
                let tail = if matches!(action, Action::Enable { .. }) { board.counts() } else { String::new() };
                self.line(board.now, host.as_str(), &label, &format!("{back}ok {took}{seen}"), &tail);
            }
            StepResult::Failed(failure) => self.failed(board, host.as_str(), &label, &back, "FAILED", &took, failure),
            StepResult::Unknown(failure) if board.cancel == Some(Cancel::Unwind) && !undo => {
                let words = self.paint.wait(format!("{back}stopped after {took}: {}", clean(&failure.what)));
                self.line(board.now, host.as_str(), &label, &words, "");
            }
            StepResult::Unknown(failure) => self.failed(board, host.as_str(), &label, &back, "UNKNOWN", &took, failure),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one line")]
    fn failed(&mut self, board: &Board, host: &str, verb: &str, back: &str, how: &str, took: &str, failure: &Failure) {
        let code = failure.code.map(|code| format!(" (exit {code})")).unwrap_or_default();
        let words = format!("{} after {took}: {}{code}", self.paint.bad(format!("{back}{how}")), clean(&failure.what));
        self.line(board.now, host, verb, &words, "");
        let lines = failure.output.len();
        self.excerpts += usize::from(lines > 0);
        let skipped = match self.verbosity {
            Verbosity::Verbose => 0,
            _ if self.excerpts > EXCERPTS => lines,
            _ => lines.saturating_sub(EXCERPT),
        };
        for line in &failure.output[skipped..] {
            self.console.say(&format!("{host} | {}", clean(line)));
        }
    }

    fn lane_ended(&mut self, board: &Board, at: LaneRef, end: &LaneEnd, took: f64) {
        let host = board.host(at).clone();
        let paint = self.paint;
        match end {
            // Nothing is taken back but by a switch: what a task did before it failed, it did.
            LaneEnd::Done | LaneEnd::Restored { .. } | LaneEnd::TakenBack
                if board.plan.waves[at.wave].phase != Phase::Switch => {}
            LaneEnd::Done => {
                let slowest = match self.detail(board, at.wave) {
                    Detail::Hosts => slowest_step(board, at),
                    Detail::Steps | Detail::Total => String::new(),
                };
                let words = format!("ok {}{slowest}", seconds(took));
                self.line(board.now, host.as_str(), "done", &paint.good(format!("{words:<38}")), &board.counts());
            }
            LaneEnd::Restored { .. } | LaneEnd::TakenBack => {
                let words = paint.wait(format!("{:<38}", board.left(at, end)));
                self.line(board.now, host.as_str(), "restored", &words, &board.counts());
            }
            LaneEnd::Broken { undo, trouble, .. } => {
                let words = format!("{}: {undo} failed: {}", paint.bad("NEEDS A PERSON"), clean(&trouble.what));
                self.line(board.now, host.as_str(), "broken", &words, "");
            }
            LaneEnd::Untouched => {}
        }
    }

    fn gate_closed(&mut self, board: &Board, took: f64, result: &StepResult) {
        let took = seconds(took);
        match result {
            StepResult::Ok(words) => {
                let words = format!("ok {took}{} {}", if words.is_empty() { "" } else { ":" }, clean(words));
                self.line(board.now, "-", "watch", words.trim_end(), &board.counts());
            }
            StepResult::Failed(failure) => self.failed(board, "-", "watch", "", "FAILED", &took, failure),
            StepResult::Unknown(failure) => self.failed(board, "-", "watch", "", "UNKNOWN", &took, failure),
        }
    }

    fn progress(&mut self, board: &Board, at: LaneRef) {
        let Some(lane) = board.lane(at) else { return };
        if lane.said.is_empty() || self.progress.get(&at).is_some_and(|last| board.now - last < PROGRESS_EVERY) {
            return;
        }
        self.progress.insert(at, board.now);
        let verb = board.action(at).map(Action::short).unwrap_or_default().to_owned();
        let part = board.action(at).map(part_of).unwrap_or_default();
        self.line(board.now, board.host(at).as_str(), &verb, &format!("{} {part}{}", self.dot(), lane.said), "");
    }

    fn still(&mut self, board: &Board) {
        let words = self.paint.wait(format!("{:<38}", still(board)));
        self.line(board.now, "-", "still", &words, &board.counts());
    }

    fn detail(&self, board: &Board, wave: usize) -> Detail {
        match board.plan.waves[wave].phase {
            Phase::Task | Phase::Failed => Detail::Steps,
            _ if self.verbosity == Verbosity::Verbose => Detail::Steps,
            Phase::Prepare | Phase::Finish => Detail::Total,
            Phase::Switch if board.plan.fleet.len() <= SMALL => Detail::Steps,
            Phase::Switch => Detail::Hosts,
        }
    }

    fn dot(&self) -> &'static str {
        self.paint.sign(Sign::Dot)
    }
}

impl Render for Plain {
    fn event(&mut self, board: &Board, _: &Stamped, news: &[News]) {
        if self.host_width == 0 {
            let longest = board.plan.waves.iter().flat_map(|wave| &wave.lanes).map(|lane| lane.host.as_str().len());
            self.host_width = longest.max().unwrap_or_default().clamp(4, 24);
        }
        for one in news {
            if self.verbosity != Verbosity::Quiet || one.is_bad() {
                self.tell(board, one);
            }
        }
    }

    fn tick(&mut self, board: &Board) {
        if board.now - self.last >= SILENCE && self.verbosity != Verbosity::Quiet {
            self.still(board);
        }
    }
}

/// `4040 `, where a step is about a part of its host.
fn part_of(action: &Action) -> String {
    action.part().map(|part| format!("{part} ")).unwrap_or_default()
}

/// `, slowest drain 4.7s`: what a person would look into. The watch takes as long as the recipe says.
fn slowest_step(board: &Board, at: LaneRef) -> String {
    let steps = board.lane(at).into_iter().flat_map(|lane| &lane.took).filter(|(verb, _)| verb != Action::Watch.verb());
    let slowest = steps.max_by(|a, b| a.1.total_cmp(&b.1));
    slowest.map(|(verb, took)| format!(", slowest {verb} {}", seconds(*took))).unwrap_or_default()
}

fn hosts_of(wave: &Wave) -> String {
    ranges(wave.lanes.iter().map(|lane| &lane.host))
}
