//! As much of the shell's grammar as it takes to see which parts of a command stand in quotes.

use std::ops::Range;

/// What the shell does not look into, whatever quotes it stands in.
pub(super) fn is_harmless(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./:@%+=,-".contains(c))
}

/// The parts of `command` that stand between quotes, of either kind, without the quotes.
///
/// Quotes in a comment or behind a backslash are none. What is nested in `"$( … )"` counts as quoted.
pub(super) fn quoted(command: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut open: Option<(char, usize)> = None;
    let mut word_begins = true;
    let mut characters = command.char_indices();
    while let Some((at, c)) = characters.next() {
        match (open, c) {
            (Some(('"', _)) | None, '\\') => drop(characters.next()),
            (Some((quote, start)), _) if c == quote => {
                ranges.push(start..at);
                open = None;
            }
            (None, '\'' | '"') => open = Some((c, at + 1)),
            (None, '#') if word_begins => drop(characters.by_ref().find(|(_, c)| *c == '\n')),
            _ => {}
        }
        word_begins = matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | '#');
    }
    ranges.extend(open.map(|(_, start)| start..command.len()));
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_seen_and_what_looks_like_them_is_not() {
        let parts = |text: &'static str| quoted(text).into_iter().map(|range| &text[range]).collect::<Vec<_>>();
        assert_eq!(parts("a 'b \\' \"c 'd' \\\" e\" f"), ["b \\", "c 'd' \\\" e"]);
        assert_eq!(parts("a \\'b # don't\n'c' d#'e'"), ["c", "e"]);
        assert_eq!(parts("echo 'open"), ["open"]);
        assert_eq!(parts("plain"), Vec::<&str>::new());
    }
}
