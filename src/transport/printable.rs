//! Text from hosts, made harmless for a terminal.

/// `text` with control characters, and those that turn the direction of writing, spelled out.
///
/// A host's word may end up on a terminal or in a CI log, and must not move the cursor or write commands there.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.extend(c.escape_default());
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_commands() {
        assert_eq!(printable("a\u{1b}[2Jb\rc\u{9b}d\u{202e}e\tf é"), r"a\u{1b}[2Jb\rc\u{9b}d\u{202e}e f é");
    }
}
