//! Text from hosts is not trusted: it may try to move the cursor, hide words or fill the log.

/// The longest line that is shown of a host's output. Longer ones are data, not messages.
const LONGEST: usize = 400;

/// `text` as one line that does nothing but be read: control and invisible characters escaped, tabs as spaces, cut if long.
#[must_use]
pub fn clean(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    let mut line = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            line.push_str("... (");
            line.push_str(&text.len().to_string());
            line.push_str(" bytes)");
            break;
        }
        match c {
            '\t' => line.push_str("    "),
            c if is_hidden(c) => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// Whether `c` acts on a terminal or deceives the eye: C0, C1, line separators, bidi controls, zero-width letters, tags.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_the_terminal_or_deceives_the_eye() {
        let hostile = "\u{1b}[2J\u{9b}31m a\u{202e}b\u{200b}c\r\nd\u{7}";
        assert_eq!(clean(hostile), r"\u{1b}[2J\u{9b}31m a\u{202e}b\u{200b}c\r\nd\u{7}");
        assert_eq!(clean("a\tß ✓\r\n"), "a    ß ✓");
    }

    #[test]
    fn a_line_of_megabytes_is_cut() {
        let line = clean(&"x".repeat(10 << 20));
        assert!(line.len() < 2 * LONGEST && line.ends_with("... (10485760 bytes)"), "{line}");
    }
}
