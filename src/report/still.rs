//! What goes on while nothing changes, and the stamps of the log.

use super::{Board, seconds};

/// Busy hosts that a line names.
const NAMED: usize = 4;

/// What everybody waits for, those that wait longest first.
#[must_use]
pub fn still(board: &Board) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some((since, all)) = board.gate {
        parts.push(format!("watching for {} of {}", seconds(board.now - since), seconds(all)));
    }
    if let Some((serving, floor)) = board.hold {
        parts.push(format!("on hold: {serving} serve, floor {floor}"));
    }
    let busy = board.busy();
    for at in busy.iter().take(NAMED) {
        let (Some(lane), Some(action)) = (board.lane(*at), board.action(*at)) else { continue };
        let said = if lane.said.is_empty() { String::new() } else { format!(" ({})", lane.said) };
        parts.push(format!("{} {} {}{said}", board.host(*at), action.short(), seconds(board.now - lane.since)));
    }
    if busy.len() > NAMED {
        parts.push(format!("{} more", busy.len() - NAMED));
    }
    if parts.is_empty() { "waiting".to_owned() } else { parts.join(", ") }
}

/// `MM:SS.d`.
#[must_use]
pub fn stamp(elapsed: f64) -> String {
    let tenths = (elapsed.max(0.0) * 10.0).round();
    let (minutes, rest) = ((tenths / 600.0).floor(), tenths % 600.0);
    format!("{minutes:02}:{:04.1}", rest / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_of_one_width_for_an_hour() {
        for (elapsed, text) in [(0.0, "00:00.0"), (9.96, "00:10.0"), (59.97, "01:00.0"), (3599.9, "59:59.9")] {
            assert_eq!(stamp(elapsed), text);
        }
    }
}
