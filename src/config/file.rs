//! A file as TOML, with the place of everything in it.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use super::Source;
use super::diagnostic::{Diagnostic, Place};
use super::report::{Report, Wrong};
use super::table::Table;

/// A file that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'d> {
    source: &'d Arc<Source>,
    report: &'d Report,
}

impl<'d> File<'d> {
    /// The file `source`, whose errors go to `report`.
    pub fn new(source: &'d Arc<Source>, report: &'d Report) -> Self {
        Self { source, report }
    }

    /// Its TOML. Syntax errors are reported; what could be made of the rest comes with them.
    pub fn parse(self) -> (Spanned<DeTable<'d>>, Result<(), Wrong>) {
        let (root, errors) = DeTable::parse_recoverable(self.source.text());
        // What follows the first syntax error of a line is often only its echo.
        let mut last_line = 0;
        let mut outcome = Ok(());
        for error in errors {
            let span = error.span().unwrap_or_default();
            let (line, _) = self.source.position(span.start);
            if line != last_line {
                last_line = line;
                let error = Diagnostic::new(format!("`{}` is not valid TOML", self.source.path()))
                    .at(self.place(self.on_one_line(span.clone()), plainer(error.message(), self.text(span))));
                outcome = Err(self.report.add(error));
            }
        }
        (root, outcome)
    }

    /// The reader of `root`, the file's own table.
    pub fn root(self, root: &'d Spanned<DeTable<'d>>) -> Table<'d> {
        Table::new(self, String::new(), self.first_line(), Some(root.get_ref()))
    }

    /// The bytes at `span`, with something to say about them.
    pub fn place(self, span: Range<usize>, label: impl Into<String>) -> Place {
        Place { source: Arc::clone(self.source), span: Some(span), label: label.into() }
    }

    /// The file as a whole.
    pub fn whole(self) -> Place {
        Place { source: Arc::clone(self.source), span: None, label: String::new() }
    }

    /// The text at `span`.
    pub fn text(self, span: Range<usize>) -> &'d str {
        self.source.text().get(span).unwrap_or_default()
    }

    /// Takes down `error`.
    pub fn report(self, error: Diagnostic) -> Wrong {
        self.report.add(error)
    }

    /// The first line that says something: keys of the file's own table belong there.
    fn first_line(self) -> Range<usize> {
        let mut start = 0;
        for line in self.source.text().split_inclusive('\n') {
            let words = line.trim();
            if !words.is_empty() && !words.starts_with('#') {
                let from = start + (line.len() - line.trim_start().len());
                return from..from + words.len();
            }
            start += line.len();
        }
        0..0
    }

    /// `span` up to the end of its first line: an unclosed string would mark the rest of the file.
    fn on_one_line(self, span: Range<usize>) -> Range<usize> {
        let length = self.text(span.clone()).find('\n').unwrap_or(span.len());
        span.start..span.start + length
    }
}

/// The parser's `message` in words that do not need its grammar; `text` is what it is about.
fn plainer<'a>(message: &'a str, text: &str) -> &'a str {
    match message {
        "string values must be quoted, expected literal string" if text.is_empty() => "a value is missing here",
        "string values must be quoted, expected literal string" => "strings must be in quotes",
        _ => message,
    }
}
