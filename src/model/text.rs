//! Text from elsewhere, made fit to be shown.

/// `text` with everything escaped that could act on a terminal or reorder a line: control characters, escape
/// sequences, and Unicode's invisible and bidirectional controls. Line ends stay; a tab becomes a space.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push('\n'),
            '\t' => shown.push(' '),
            c if c.is_control() || acts(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Whether `c` is one of Unicode's invisible controls, which `char::is_control` does not know.
fn acts(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_act_on_a_terminal_is_spelt_out() {
        assert_eq!(clean("a\x1b[2Jb\r\nc\td\u{202e}e\u{9b}"), "a\\u{1b}[2Jb\\u{d}\nc d\\u{202e}e\\u{9b}");
        assert_eq!(clean("größer"), "größer");
    }
}
