//! What a terminal shows of a run, as lines of text: pure, so that it can be read in tests. `tty` draws it.

use std::collections::BTreeMap;

use super::{Board, Doing, LaneNow, seconds};
use crate::engine::LaneRef;
use crate::model::{Paint, Sign, Tone, clean, ranges};
use crate::plan::Wave;

/// Most cells of the overall bar.
const BAR: usize = 24;

/// Lines of the frame that are no host's: a blank, the bar, the count of the others, what is to come.
const AROUND: usize = 4;

/// Most columns that what a host does gets; longer ones push the rest aside.
const LABEL: usize = 20;

/// Hosts shown where there is no room for all.
const SLOWEST: usize = 8;

/// The lines that move: a bar for the open wave, and a line for each busy host as far as the height allows.
///
/// `size` is the terminal's: columns and lines.
#[must_use]
pub fn frame(board: &Board, size: (usize, usize), paint: Paint) -> Vec<String> {
    let (columns, height) = size;
    let Some(wave) = board.open_wave() else { return Vec::new() };
    let mut lines = vec![String::new(), bar(board, wave, BAR.min(columns / 4), paint)];
    let (mut shown, rest) = choose(board, height);
    // In the plan's order, so that a line stays where it is while its host goes on.
    shown.sort_unstable();
    let width = width(board);
    // As wide as the longest label of the wave, so that the times stay in one column.
    let labels = wave.lanes.iter().flat_map(|lane| &lane.steps).map(|step| step.action.label().chars().count());
    let label_width = labels.max().unwrap_or_default().clamp(8, LABEL);
    lines.extend(shown.iter().map(|at| lane(board, *at, (width, label_width), paint)));
    if !rest.is_empty() {
        lines.push(paint.dim(format!("  {} {}", paint.sign(Sign::Dot), count_verbs(board, &rest))));
    }
    lines.extend(waiting(board, wave, paint));
    lines
}

/// The busy lanes that get a line, and the others.
///
/// Where there is no room for all, a few are shown that are on their way back or take longest: that is where trouble is.
fn choose(board: &Board, height: usize) -> (Vec<LaneRef>, Vec<LaneRef>) {
    let mut busy = board.busy();
    if busy.len() + AROUND <= height {
        return (busy, Vec::new());
    }
    let goes_on = |at: &LaneRef| !board.lane(*at).is_some_and(|lane| matches!(lane.doing, Doing::Undo(_)));
    busy.sort_by_key(goes_on);
    let rest = busy.split_off(busy.len().min(SLOWEST).min(height.saturating_sub(AROUND)));
    (busy, rest)
}

/// `12 more: 8 watch, 4 drain`.
fn count_verbs(board: &Board, lanes: &[LaneRef]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for action in lanes.iter().filter_map(|at| board.action(*at)) {
        *counts.entry(action.short()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts: Vec<String> = counts.iter().map(|(verb, count)| format!("{count} {verb}")).collect();
    format!("{} more: {}", lanes.len(), counts.join(", "))
}

/// `rolling  ━━━━━━━━────────  4/8  serving 7/8 (floor 6)  0:41`.
fn bar(board: &Board, wave: &Wave, cells: usize, paint: Paint) -> String {
    let (done, all) = board.done();
    let full = (cells * done).checked_div(all).unwrap_or_default();
    let bar = format!(
        "{}{}",
        paint.good(paint.sign(Sign::Full).repeat(full)),
        paint.dim(paint.sign(Sign::Empty).repeat(cells - full))
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
    let name = format!("{:<width$}", clean(&wave.name), width = width(board));
    format!("  {}  {bar}  {}", paint.bold(name), words.join("  "))
}

/// `web3  ▸ health   12s  try 4: 503`.
fn lane(board: &Board, at: LaneRef, (width, label_width): (usize, usize), paint: Paint) -> String {
    let (Some(now), Some(action)) = (board.lane(at), board.action(at)) else { return String::new() };
    let undo = matches!(now.doing, Doing::Undo(_));
    let (sign, tone) = if undo { (Sign::Back, Tone::Wait) } else { (Sign::Play, Tone::Plain) };
    let what = paint.tone(tone, format!("{} {:<label_width$}", paint.sign(sign), action.label()));
    let took = paint.dim(format!("{:>5}", seconds((board.now - now.since).floor())));
    format!("  {:<width$}  {what} {took}  {}", board.host(at), now.said).trim_end().to_owned()
}

/// Why nobody else begins.
fn waiting(board: &Board, wave: &Wave, paint: Paint) -> Option<String> {
    let begun = |lane: &LaneNow| lane.doing != Doing::Waiting;
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

/// The width of the first column: hosts, and on lines of their own the names of waves.
pub(super) fn width(board: &Board) -> usize {
    let hosts = board.plan.waves.iter().flat_map(|wave| &wave.lanes).map(|lane| lane.host.as_str().len());
    let waves = board.plan.waves.iter().map(|wave| wave.name.chars().count());
    hosts.chain(waves).max().unwrap_or_default().clamp(4, 24)
}

/// `M:SS`.
fn clock(elapsed: f64) -> String {
    let whole = elapsed.max(0.0).floor();
    format!("{}:{:02}", (whole / 60.0).floor(), whole % 60.0)
}
