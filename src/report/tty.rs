//! Draws the frame on a terminal. It is drawn anew in one piece, a few times a second, so nothing flickers.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Board, News, Render, frame, lasting};
use crate::engine::{Event, Stamped};
use crate::model::Paint;

/// Redraws a second. More is not seen.
const RATE: u8 = 10;

/// Draws on standard error.
pub struct Tty {
    area: MultiProgress,
    lines: Vec<ProgressBar>,
    paint: Paint,
    drawn: f64,
}

impl Tty {
    /// A terminal's screen, painted by `paint`.
    #[must_use]
    pub fn new(paint: Paint) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(RATE);
        Self { area: MultiProgress::with_draw_target(target), lines: Vec::new(), paint, drawn: -1.0 }
    }

    fn draw(&mut self, board: &Board) {
        let (lines, columns) = console::Term::stderr().size();
        let frame = frame(board, (usize::from(columns), usize::from(lines).saturating_sub(1)), self.paint);
        while self.lines.len() > frame.len() {
            if let Some(line) = self.lines.pop() {
                line.finish_and_clear();
                self.area.remove(&line);
            }
        }
        while self.lines.len() < frame.len() {
            let line = self.area.add(ProgressBar::new_spinner().with_style(style()));
            self.lines.push(line);
        }
        for (line, text) in self.lines.iter().zip(frame) {
            line.set_message(text);
        }
        self.drawn = board.now;
    }

    fn clear(&mut self) {
        for line in self.lines.drain(..) {
            line.finish_and_clear();
        }
        let _ = self.area.clear();
    }
}

impl Render for Tty {
    fn event(&mut self, board: &Board, event: &Stamped, news: &[News]) {
        for line in news.iter().flat_map(|one| lasting(board, one, self.paint)) {
            let _ = self.area.println(line);
        }
        if matches!(event.event, Event::Finished { .. }) {
            self.clear();
        } else if board.now - self.drawn >= 1.0 / f64::from(RATE) {
            self.draw(board);
        }
    }

    fn tick(&mut self, board: &Board) {
        self.draw(board);
    }
}

impl Drop for Tty {
    /// A run that breaks off leaves no half of a frame behind.
    fn drop(&mut self) {
        self.clear();
    }
}

/// One line, cut at the terminal's width.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}
