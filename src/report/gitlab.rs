//! Sections of a GitLab job log, one for each wave; GitLab folds them and shows how long each took.

use std::time::Duration;

use jiff::Timestamp;

use super::{Board, Console, News, Render};
use crate::engine::Stamped;
use crate::model::clean;

/// Writes the marks around the sections.
pub struct Gitlab {
    console: Console,
    began: Timestamp,
}

impl Gitlab {
    /// Marks for the log on `console`, of a run that began at `began`.
    #[must_use]
    pub fn new(console: Console, began: Timestamp) -> Self {
        Self { console, began }
    }

    fn mark(&mut self, board: &Board, mark: &str, wave: usize, heading: &str) {
        let now = self.began.checked_add(Duration::from_secs_f64(board.now)).unwrap_or(self.began);
        // The carriage return and the erasing hide the mark itself where GitLab's own viewer does not read the log.
        self.console.raw(&format!("\u{1b}[0K{mark}:{}:shipit_wave_{wave}\r\u{1b}[0K{heading}\n", now.as_second()));
    }
}

impl Render for Gitlab {
    fn event(&mut self, board: &Board, _: &Stamped, news: &[News]) {
        for one in news {
            match one {
                News::WaveOpened(wave) => {
                    let heading = board.plan.waves.get(*wave).map(|wave| clean(&wave.name)).unwrap_or_default();
                    self.mark(board, "section_start", *wave, &heading);
                }
                News::WaveEnded { wave, .. } => self.mark(board, "section_end", *wave, ""),
                _ => {}
            }
        }
    }
}
