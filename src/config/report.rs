//! Where errors are collected while files are read, so that one run shows all of them.

use std::cell::RefCell;

use super::Diagnostic;

/// The errors so far.
#[derive(Debug, Default)]
pub(super) struct Report(RefCell<Vec<Diagnostic>>);

/// Stands for a value that is wrong and has been reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong;

impl Report {
    /// Takes down `error`.
    pub fn add(&self, error: Diagnostic) -> Wrong {
        self.0.borrow_mut().push(error);
        Wrong
    }

    /// All errors, by file in the order of `files` and then by place.
    pub fn into_errors(self, files: &[&str]) -> Vec<Diagnostic> {
        let mut errors = self.0.into_inner();
        errors.sort_by_key(|error| {
            let place = error.place.as_ref();
            let file = place.and_then(|place| files.iter().position(|path| *path == place.source.path()));
            (file, place.and_then(|place| place.span.as_ref()).map_or(usize::MAX, |span| span.start))
        });
        errors
    }
}
