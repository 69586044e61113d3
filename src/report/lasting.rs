//! The lines that a run leaves on a terminal for good, above those that move: what is over.

use super::frame::width;
use super::{Board, Doing, News, seconds};
use crate::engine::{Cancel, Failure, LaneEnd, LaneRef, StepResult};
use crate::model::{Paint, Sign, clean};
use crate::plan::{Action, Phase};

/// Lines of a failed step's output that stay on the screen; the summary has more.
const EXCERPT: usize = 3;

/// The width of the second column.
const MIDDLE: usize = 24;

/// The lines that `news` leaves.
#[must_use]
pub fn lasting(board: &Board, news: &News, paint: Paint) -> Vec<String> {
    let width = width(board);
    let (tick, cross) = (paint.good(paint.sign(Sign::Tick)), paint.bad(paint.sign(Sign::Cross)));
    match news {
        News::Planned => planned(board, paint),
        News::WaveEnded { wave, took } if board.plan.waves[*wave].phase != Phase::Switch => {
            vec![wave_ended(board, *wave, *took, paint)]
        }
        News::StepEnded { at, action, undo, took, result } => match result {
            StepResult::Ok(_) => Vec::new(),
            StepResult::Unknown(_) if board.cancel == Some(Cancel::Unwind) && !undo => Vec::new(),
            StepResult::Failed(failure) | StepResult::Unknown(failure) => {
                step_failed(board, *at, action, *undo, *took, failure, paint)
            }
        },
        News::LaneEnded { at, end, took } => {
            let host = format!("{:<width$}", board.host(*at));
            let line = match end {
                LaneEnd::Done if board.plan.waves[at.wave].phase == Phase::Switch => {
                    format!("{tick} {host}  {:<MIDDLE$}  {}", board.release().id, paint.dim(seconds(*took)))
                }
                LaneEnd::Restored { .. } | LaneEnd::TakenBack if board.plan.waves[at.wave].phase == Phase::Switch => {
                    let back = paint.sign(Sign::Back);
                    format!("{} {host}  {}", paint.wait(back), board.left(*at, end))
                }
                LaneEnd::Broken { undo, .. } => {
                    format!("{cross} {host}  {}: {undo} failed", paint.bad("needs a person"))
                }
                LaneEnd::Done | LaneEnd::Restored { .. } | LaneEnd::TakenBack | LaneEnd::Untouched => {
                    return Vec::new();
                }
            };
            vec![line]
        }
        News::GateClosed { wave, took, result } => {
            let name = format!("{:<width$}", clean(&board.plan.waves[*wave].name));
            let took = seconds(*took);
            vec![match result {
                StepResult::Ok(words) => format!("{tick} {name}  watched for {took}: {}", clean(words)),
                StepResult::Failed(failure) | StepResult::Unknown(failure) => {
                    format!("{cross} {name}  {} after {took}: {}", paint.bad("watch"), clean(&failure.what))
                }
            }]
        }
        News::LookFailed(why) => vec![paint.wait(format!("  the balancers can't be looked at: {why}"))],
        _ => Vec::new(),
    }
}

fn planned(board: &Board, paint: Paint) -> Vec<String> {
    let plan = &board.plan;
    let wave = plan.waves.iter().rfind(|wave| wave.phase == Phase::Switch);
    let limits = wave.map(|wave| format!(", {}", wave.limits())).unwrap_or_default();
    vec![
        paint.bold(format!("{} {}", plan.environment, plan.headline(paint))),
        paint.dim(format!("by {}{limits}, run {}", plan.strategy, board.run)),
    ]
}

fn wave_ended(board: &Board, wave: usize, took: f64, paint: Paint) -> String {
    let planned = &board.plan.waves[wave];
    let all = planned.lanes.len();
    let good = board.lanes[wave].iter().filter(|lane| lane.doing == Doing::Closed(LaneEnd::Done)).count();
    let sign = if good == all { paint.good(paint.sign(Sign::Tick)) } else { paint.bad(paint.sign(Sign::Cross)) };
    let hosts = match &planned.lanes[..] {
        [lane] => lane.host.to_string(),
        _ => format!("{good} of {all} hosts"),
    };
    let name = clean(&planned.name);
    format!("{sign} {name:<width$}  {hosts:<MIDDLE$}  {}", paint.dim(seconds(took)), width = width(board))
}

fn step_failed(
    board: &Board,
    at: LaneRef,
    action: &Action,
    undo: bool,
    took: f64,
    failure: &Failure,
    paint: Paint,
) -> Vec<String> {
    let verb = format!("{}{} failed", if undo { "undo " } else { "" }, action.label());
    let (host, cross) = (board.host(at), paint.bad(paint.sign(Sign::Cross)));
    let (verb, what, took) = (paint.bad(verb), clean(&failure.what), paint.dim(seconds(took)));
    let mut lines = vec![format!("{cross} {host:<width$}  {verb}: {what}  {took}", width = width(board))];
    let skipped = failure.output.len().saturating_sub(EXCERPT);
    let edge = paint.dim(paint.sign(Sign::Edge));
    lines.extend(failure.output[skipped..].iter().map(|line| format!("  {edge} {}", clean(line))));
    lines
}
