//! One value of a file: its place, and what it is read as.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostic::{Diagnostic, Place};
use super::file::File;
use super::report::Wrong;
use super::table::{Table, kind};

/// A value of a file.
#[derive(Debug, Clone)]
pub(super) struct Value<'d> {
    file: File<'d>,
    key: String,
    in_list: bool,
    toml: &'d Spanned<DeValue<'d>>,
}

impl<'d> Value<'d> {
    /// The value `toml` of `key`, which is written with the names of its tables.
    pub fn new(file: File<'d>, key: String, toml: &'d Spanned<DeValue<'d>>) -> Self {
        Self { file, key, in_list: false, toml }
    }

    /// What it is called in messages: its key with the names of its tables.
    pub fn name(&self) -> String {
        if self.in_list { format!("an item of `{}`", self.key) } else { format!("`{}`", self.key) }
    }

    /// A string.
    pub fn string(&self) -> Result<&'d str, Wrong> {
        match self.toml.get_ref() {
            DeValue::String(text) => Ok(text),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                Err(self
                    .fail_with(self.wrong_kind("a string").help(format!("put it in quotes: `\"{}\"`", self.written()))))
            }
            _ => Err(self.fail_with(self.wrong_kind("a string"))),
        }
    }

    /// `true` or `false`.
    pub fn bool(&self) -> Result<bool, Wrong> {
        match self.toml.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(self.fail_with(self.wrong_kind("`true` or `false`"))),
        }
    }

    /// A whole number of 0 or more, of at most 32 bits; `what` says what it counts.
    pub fn number(&self, what: &str) -> Result<u32, Wrong> {
        let DeValue::Integer(number) = self.toml.get_ref() else {
            return Err(self.fail_with(self.wrong_kind(what)));
        };
        u32::from_str_radix(number.as_str(), number.radix()).map_err(|_| {
            let slip = if number.as_str().starts_with('-') { "less than nothing" } else { "too large" };
            self.fail("is out of range", format!("{what} can't be {slip}"))
        })
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self.toml.get_ref(), DeValue::Integer(_))
    }

    /// A list; `form` says of what.
    pub fn items(&self, form: &str) -> Result<Vec<Value<'d>>, Wrong> {
        match self.toml.get_ref() {
            DeValue::Array(array) => {
                Ok(array.iter().map(|item| Self::new(self.file, self.key.clone(), item)).collect())
            }
            _ => Err(self.fail_with(self.wrong_kind(form))),
        }
    }

    /// A list of which each item is read by `take`.
    pub fn list<T>(
        &self,
        form: &str,
        take: impl Fn(&Value<'d>) -> Result<T, Wrong>,
    ) -> Result<Vec<(T, Value<'d>)>, Wrong> {
        // Collected first, so that each wrong item is reported, not only the first.
        let items = self.items(form)?.into_iter().map(|item| {
            let item = Self { in_list: true, ..item };
            take(&item).map(|value| (value, item))
        });
        let items: Vec<_> = items.collect();
        items.into_iter().collect()
    }

    /// A table; `form` says how one is written.
    pub fn table(&self, form: &str) -> Result<Table<'d>, Wrong> {
        match self.toml.get_ref() {
            DeValue::Table(table) => Ok(Table::new(self.file, self.key.clone(), self.toml.span(), Some(table))),
            _ => Err(self.fail_with(self.wrong_kind(form))),
        }
    }

    /// The value as the file spells it.
    pub fn written(&self) -> &'d str {
        self.file.text(self.toml.span())
    }

    /// Its place.
    pub fn place(&self, label: impl Into<String>) -> Place {
        self.file.place(self.toml.span(), label)
    }

    /// The place of the bytes `inner` of the string that it is: exact if the string is written without escapes.
    pub fn place_within(&self, inner: Range<usize>, label: impl Into<String>) -> Place {
        let span = self.toml.span();
        let text = self.toml.get_ref().as_str().unwrap_or_default();
        match self.written().find(text) {
            Some(start) if !text.is_empty() => {
                let start = span.start + start;
                self.file.place(start + inner.start..start + inner.end, label)
            }
            _ => self.file.place(span, label),
        }
    }

    /// The error that the key `says`, with `label` at the value.
    pub fn wrong(&self, says: &str, label: impl Into<String>) -> Diagnostic {
        Diagnostic::new(format!("{} {says}", self.name())).at(self.place(label))
    }

    /// Reports that the key `says`, with `label` at the value.
    pub fn fail(&self, says: &str, label: impl Into<String>) -> Wrong {
        self.fail_with(self.wrong(says, label))
    }

    /// Reports `error`.
    pub fn fail_with(&self, error: Diagnostic) -> Wrong {
        self.file.report(error)
    }

    fn wrong_kind(&self, needed: &str) -> Diagnostic {
        self.wrong(&format!("must be {needed}"), format!("this is {}", kind(self.toml.get_ref())))
    }
}
