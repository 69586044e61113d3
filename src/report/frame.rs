//! What a terminal shows of a run, as lines of text: pure, so that it can be read in tests. `tty` draws it.

use super::{Board, News, seconds};
use crate::engine::{LaneEnd, LaneRef, StepResult};
use crate::model::{Paint, Sign, clean, friendly, ranges};
use crate::plan::{Phase, Wave};

/// Cells of the overall bar.
const BAR: usize = 24;

/// Lines of a failed step's output that stay on the screen; the summary has more.
const EXCERPT: usize = 3;

/// The lines that move: a bar for the open wave, and a line for each busy host as far as `height` allows.
#[must_use]
pub fn frame(board: &Board, height: usize, paint: Paint) -> Vec<String> {
    let Some(wave) = board.open_wave() else { return Vec::new() };
    let mut lines = vec![bar(board, wave, paint)];
    let busy = board.busy();
    let shown = if busy.len() + 2 <= height { busy.len() } else { height.saturating_sub(3) };
    let width = busy.iter().map(|at| board.host(*at).as_str().len()).max().unwrap_or_default();
    lines.extend(busy.iter().take(shown).map(|at| lane(board, *at, width, paint)));
    if shown < busy.len() {
        let rest = format!("   {} {} more, all begun later", paint.sign(Sign::Dot), busy.len() - shown);
        lines.push(paint.dim(rest));
    }
    lines.extend(waiting(board, wave, paint));
    lines
}

/// `rolling  ━━━━━━━━────────  4/8  serving 7/8 (floor 6)  0:41`.
fn bar(board: &Board, wave: &Wave, paint: Paint) -> String {
    let (done, all) = board.done();
    let full = if all == 0 { 0 } else { BAR * done / all };
    let bar = format!(
        "{}{}",
        paint.good(paint.sign(Sign::Full).repeat(full)),
        paint.dim(paint.sign(Sign::Empty).repeat(BAR - full))
    );
    let mut words = vec![format!("{done}/{all}")];
    if let Some(serving) = board.serving() {
        let fleet = board.plan.fleet.len();
        let floor = wave.min_serving.map(|floor| format!(" (floor {floor})")).unwrap_or_default();
        let text = format!("serving {serving}/{fleet}{floor}");
        words.push(if serving == fleet { text } else { paint.wait(text) });
    }
    if !board.failed.is_empty() {
        words.push(paint.bad(format!("{} failed", board.failed.len())));
    }
    words.push(paint.dim(clock(board.now)));
    format!("{:<9} {bar}  {}", clean(&wave.name), words.join("  "))
}

fn lane(board: &Board, at: LaneRef, width: usize, paint: Paint) -> String {
    let (Some(now), Some(action)) = (board.lane(at), board.action(at)) else { return String::new() };
    let undo = matches!(now.doing, super::Doing::Undo(_));
    let verb = format!("{:<8}", if undo { format!("undo: {action}") } else { action.verb().to_owned() });
    let (sign, verb) = if undo { (Sign::Cross, paint.wait(verb)) } else { (Sign::Play, verb) };
    let took = format!("{:>5}", seconds((board.now - now.since).floor()));
    let line = format!(
        "  {:<width$}  {} {verb} {}  {}",
        board.host(at),
        if undo { paint.wait(paint.sign(sign)) } else { paint.sign(sign).to_owned() },
        paint.dim(took),
        now.said
    );
    line.trim_end().to_owned()
}

/// Why nobody else begins.
fn waiting(board: &Board, wave: &Wave, paint: Paint) -> Option<String> {
    let begun = |lane: &super::LaneNow| lane.doing != super::Doing::Waiting;
    let lanes = board.lanes.get(board.wave?)?;
    let waiting: Vec<_> =
        lanes.iter().zip(&wave.lanes).filter(|(now, _)| !begun(now)).map(|(_, lane)| &lane.host).collect();
    let dot = paint.sign(Sign::Dot);
    if let Some((since, all)) = board.gate {
        let left = seconds((all - (board.now - since)).max(0.0).ceil());
        let words = if board.gate_words.is_empty() { String::new() } else { format!(": {}", board.gate_words) };
        return Some(paint.wait(format!("  {dot} watched for {left} more{words}")));
    }
    if let Some((serving, floor)) = board.hold {
        return Some(paint.wait(format!("  {dot} on hold: {serving} serve, and {floor} must without the next one")));
    }
    if board.cancel.is_some() {
        return Some(paint.wait(format!("  {dot} ending: no other host begins")));
    }
    (!waiting.is_empty()).then(|| {
        let names = ranges(waiting.iter().copied());
        let names = if names.chars().count() > 50 { format!("{} hosts", waiting.len()) } else { names };
        paint.dim(format!("  {dot} to come: {names}"))
    })
}

/// The lines that `news` leaves on the screen for good.
#[must_use]
pub fn lasting(board: &Board, news: &News, paint: Paint) -> Vec<String> {
    let width = board.plan.fleet.iter().map(|host| host.as_str().len()).max().unwrap_or_default();
    let (tick, cross) = (paint.good(paint.sign(Sign::Tick)), paint.bad(paint.sign(Sign::Cross)));
    match news {
        News::Planned => {
            let plan = &board.plan;
            let wave = plan.waves.iter().find(|wave| wave.phase == Phase::Switch);
            let limits = wave.map(|wave| format!(", {}", wave.limits())).unwrap_or_default();
            vec![
                paint.bold(format!("{} {}", plan.environment, plan.headline(paint))),
                paint.dim(format!("by {}{limits}, run {}", plan.strategy, board.run)),
                String::new(),
            ]
        }
        News::WaveEnded { wave, took } if board.plan.waves[*wave].phase != Phase::Switch => {
            let planned = &board.plan.waves[*wave];
            let good =
                board.lanes[*wave].iter().filter(|lane| lane.doing == super::Doing::Closed(LaneEnd::Done)).count();
            let sign = if good == planned.lanes.len() { tick } else { cross };
            let hosts = if planned.lanes.len() == 1 {
                planned.lanes[0].host.to_string()
            } else {
                format!("{good} of {} hosts", planned.lanes.len())
            };
            vec![format!("{sign} {}  {hosts}  {}", clean(&planned.name), paint.dim(seconds(*took)))]
        }
        News::StepEnded {
            at,
            action,
            undo,
            took,
            result: StepResult::Failed(failure) | StepResult::Unknown(failure),
        } => {
            let (host, verb) = (board.host(*at), if *undo { format!("undo: {action}") } else { action.to_string() });
            let words = format!("{} {}", clean(&failure.what), paint.dim(seconds(*took)));
            let mut lines = vec![format!("{cross} {host:<width$}  {} {words}", paint.bad(verb))];
            let skipped = failure.output.len().saturating_sub(EXCERPT);
            let edge = paint.dim(paint.sign(Sign::Edge));
            lines.extend(failure.output[skipped..].iter().map(|line| format!("  {edge} {}", clean(line))));
            lines
        }
        News::LaneEnded { at, end, took } => {
            let host = board.host(*at);
            match end {
                LaneEnd::Done if board.plan.waves[at.wave].phase == Phase::Switch => {
                    vec![format!("{tick} {host:<width$}  {}  {}", board.release().id, paint.dim(seconds(*took)))]
                }
                LaneEnd::Restored { .. } => {
                    vec![format!("  {host:<width$}  {}", paint.wait("what it had changed is taken back"))]
                }
                LaneEnd::Broken { undo, .. } => {
                    vec![format!("{cross} {host:<width$}  {}", paint.bad(format!("needs a person: {undo} failed")))]
                }
                _ => Vec::new(),
            }
        }
        News::GateClosed { took, result, .. } => match result {
            StepResult::Ok(words) => {
                vec![format!("{tick} watched for {}  {}", seconds(*took), paint.dim(clean(words)))]
            }
            StepResult::Failed(failure) | StepResult::Unknown(failure) => {
                vec![format!("{cross} watch: {}", clean(&failure.what))]
            }
        },
        News::GateOpened { duration, .. } => vec![paint.dim(format!("  watching for {}", friendly(*duration)))],
        _ => Vec::new(),
    }
}

/// `M:SS`.
fn clock(elapsed: f64) -> String {
    let whole = elapsed.max(0.0).floor();
    format!("{}:{:02}", (whole / 60.0).floor(), whole % 60.0)
}
