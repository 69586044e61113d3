//! What is wrong with a file: the place, the reason and the way out.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::Source;
use super::render;

/// One error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong: a lower-case fragment without a full stop.
    pub message: String,
    /// Where; nowhere if there is no file yet.
    pub place: Option<Place>,
    /// Other places that have to do with it.
    pub related: Vec<Place>,
    /// The ways out.
    pub help: Vec<String>,
}

/// A place in a file, and what to say there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// The bytes that are meant; none if the whole file is.
    pub span: Option<Range<usize>>,
    /// What is said below them; may be empty.
    pub label: String,
}

/// An error in one line, as annotations of CI services take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// The file's path.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, with the label and the help.
    pub message: String,
}

/// All errors of all files, in the files' order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostic {
    /// An error that says `message`.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, related: Vec::new(), help: Vec::new() }
    }

    /// The place that it is about.
    #[must_use]
    pub(super) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Another place that has to do with it.
    #[must_use]
    pub(super) fn see(mut self, place: Option<Place>) -> Self {
        self.related.extend(place);
        self
    }

    /// A way out.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// A way out, if there is one.
    #[must_use]
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help.extend(help);
        self
    }

    /// The error in one line; nothing if it is about no file.
    #[must_use]
    pub fn annotation(&self) -> Option<Annotation> {
        let place = self.place.as_ref()?;
        let (line, column) = place.source.position(place.span.as_ref().map_or(0, |span| span.start));
        let parts = [&self.message, &place.label].into_iter().chain(&self.help).filter(|part| !part.is_empty());
        let message = parts.map(String::as_str).collect::<Vec<_>>().join("; ");
        Some(Annotation { file: place.source.path().to_owned(), line, column, message })
    }
}

impl Place {
    /// The same place with another label.
    #[must_use]
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }
}

impl Diagnostics {
    /// The errors of one or more; none if there is none.
    pub(super) fn of(errors: Vec<Diagnostic>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// Each error.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The errors as a terminal shows them: what [`fmt::Display`] writes, in colour.
    #[must_use]
    pub fn coloured(&self) -> String {
        render::all(&self.0, &render::COLOURED)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::all(&self.0, &render::PLAIN))
    }
}

impl std::error::Error for Diagnostics {}
