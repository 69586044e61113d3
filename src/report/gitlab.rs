//! Sections of a GitLab job log, one for each wave; GitLab folds them and shows how long each took.

use std::time::Duration;

use jiff::Timestamp;

use super::{Board, Console, News, Plain, Render};
use crate::engine::Stamped;
use crate::model::clean;

/// Writes a log and the marks around its sections.
pub struct Gitlab {
    console: Console,
    log: Plain,
    began: Timestamp,
}

impl Gitlab {
    /// Puts marks on `console` around the lines of `log`, of a run that began at `began`.
    #[must_use]
    pub fn new(console: Console, log: Plain, began: Timestamp) -> Self {
        Self { console, log, began }
    }

    fn mark(&mut self, board: &Board, mark: &str, wave: usize, heading: &str) {
        let now = self.began.checked_add(Duration::from_secs_f64(board.now)).unwrap_or(self.began);
        // The carriage return and the erasing hide the mark itself where GitLab's own viewer does not read the log.
        self.console.raw(&format!("\u{1b}[0K{mark}:{}:shipit_wave_{wave}\r\u{1b}[0K{heading}\n", now.as_second()));
    }
}

impl Render for Gitlab {
    fn event(&mut self, board: &Board, event: &Stamped, news: &[News]) {
        for one in news {
            if let News::WaveOpened(wave) = one {
                let heading = board.plan.waves.get(*wave).map(|wave| clean(&wave.name)).unwrap_or_default();
                self.mark(board, "section_start", *wave, &heading);
            }
            self.log.event(board, event, std::slice::from_ref(one));
            if let News::WaveEnded { wave, .. } = one {
                self.mark(board, "section_end", *wave, "");
            }
        }
    }

    fn tick(&mut self, board: &Board) {
        self.log.tick(board);
    }
}
