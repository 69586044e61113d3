//! Reporters: what people, CI systems and programs get to see of a run.
//!
//! [`Reporters`] folds the stream of events into a [`Board`] once and hands both to each renderer. Data goes to standard
//! output, words for people to standard error. Nothing here fails: a reader that went away must not end a deploy.

mod board;
mod console;
mod fold;
mod frame;
mod github;
mod gitlab;
mod jsonl;
mod lasting;
mod news;
mod plain;
mod releases;
mod runs;
mod settings;
mod status;
mod still;
mod summary;
mod tty;

use crate::engine::{Event, Stamped};

pub use board::{Board, Doing, LaneNow};
pub use console::{Console, Log, defuse};
pub use frame::frame;
pub use github::{Github, GithubFiles, command as github_command};
pub use gitlab::Gitlab;
pub use jsonl::Jsonl;
pub use lasting::lasting;
pub use news::News;
pub use plain::Plain;
pub use releases::releases;
pub use runs::{LogLine, log, runs, settle, unfinished};
pub use settings::{ColourChoice, Output, Settings, Surroundings, Verbosity};
pub use status::{fleet, hosts, notes, status};
pub use summary::{Summary, summary};
pub use tty::Tty;

/// Hears all that happens, in order.
pub trait Reporter: Send {
    /// Hears one event.
    fn on(&mut self, event: &Stamped);

    /// Hears that `elapsed` seconds have gone by since the run began; a few times a second.
    fn tick(&mut self, elapsed: f64) {
        let _ = elapsed;
    }
}

/// Shows a run in one form.
pub trait Render: Send {
    /// Shows one event, which `board` has already heard, and what is new by it.
    fn event(&mut self, board: &Board, event: &Stamped, news: &[News]);

    /// Shows that time went by; the board has heard it.
    fn tick(&mut self, board: &Board) {
        let _ = board;
    }
}

/// All the forms that a run is shown in.
#[derive(Default)]
pub struct Reporters {
    board: Option<Board>,
    renderers: Vec<Box<dyn Render>>,
}

impl Reporters {
    /// Shows runs by `renderers`, each event by all of them in this order.
    #[must_use]
    pub fn new(renderers: Vec<Box<dyn Render>>) -> Self {
        Self { board: None, renderers }
    }
}

impl Reporter for Reporters {
    fn on(&mut self, event: &Stamped) {
        if let Event::Planned { run, plan } = &event.event {
            self.board = Some(Board::new(run, plan.clone()));
        }
        let Some(board) = &mut self.board else { return };
        let news = board.fold(event);
        for renderer in &mut self.renderers {
            renderer.event(board, event, &news);
        }
    }

    fn tick(&mut self, elapsed: f64) {
        let Some(board) = &mut self.board else { return };
        board.now = board.now.max(elapsed);
        for renderer in &mut self.renderers {
            renderer.tick(board);
        }
    }
}

/// `seconds` for people.
pub(crate) fn seconds(seconds: f64) -> String {
    crate::model::friendly(std::time::Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))
}
