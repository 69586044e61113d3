//! A file of the project: its path as the user would type it, and its text.

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    path: String,
    text: String,
    shown: String,
}

impl Source {
    /// The file at `path` holding `text`.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { path: path.into(), shown: without_credentials(&text), text }
    }

    /// Its path, as the user would type it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it holds.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it holds, as it may be shown: logins in URLs are masked, byte for byte, because errors end up in CI logs.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The line and the column, in characters and from 1, of the byte at `offset`.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// `text` with `*` for all that stands between the `://` and the `@` of a URL.
fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| c == '/' || c == '"' || c == '\'' || c.is_whitespace()).unwrap_or(after.len());
        let login = after[..end].rfind('@').unwrap_or(0);
        shown.extend(std::iter::repeat_n('*', login));
        rest = &after[login..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_characters_from_one() {
        let source = Source::new("x", "ä = 1\nbö = 2\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(7), (2, 1));
        assert_eq!(source.position(source.text().find('2').unwrap()), (2, 6));
        assert_eq!(source.position(999), (3, 1));
    }

    #[test]
    fn logins_are_masked_and_nothing_moves() {
        let source = Source::new("x", "a = \"https://me:s@cret@example.com/a@b\" # see http://example.com");
        assert_eq!(source.shown(), "a = \"https://*********@example.com/a@b\" # see http://example.com");
        assert_eq!(source.shown().len(), source.text().len());
    }
}
