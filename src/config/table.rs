//! The reader of one table: it remembers which keys were asked for, and says at the end which are unknown.

use std::cell::RefCell;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Place};
use super::file::File;
use super::report::Wrong;
use super::suggest;
use super::value::Value;

/// A table of a file, or one that is absent, which reads as an empty one.
#[derive(Debug)]
pub(super) struct Table<'d> {
    file: File<'d>,
    name: String,
    header: Range<usize>,
    entries: Option<&'d DeTable<'d>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'d> Table<'d> {
    /// The table called `name` (empty for the file's own) whose header is at `header`.
    pub fn new(file: File<'d>, name: String, header: Range<usize>, entries: Option<&'d DeTable<'d>>) -> Self {
        Self { file, name, header, entries, asked: RefCell::default() }
    }

    /// The value of `key`, if it is there.
    pub fn get(&self, key: &'static str) -> Option<Value<'d>> {
        self.asked.borrow_mut().push(key);
        self.entry(key)
    }

    /// The value of `key` as `take` reads it, if it is there.
    pub fn optional<T>(
        &self,
        key: &'static str,
        take: impl FnOnce(&Value<'d>) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Wrong> {
        self.get(key).map(|value| take(&value)).transpose()
    }

    /// The value of `key` as `take` reads it, or else `default`.
    pub fn or<T>(
        &self,
        key: &'static str,
        take: impl FnOnce(&Value<'d>) -> Result<T, Wrong>,
        default: T,
    ) -> Result<T, Wrong> {
        self.optional(key, take).map(|value| value.unwrap_or(default))
    }

    /// The value of `key` as `take` reads it; if it is not there, the error shows `example`, which is TOML.
    pub fn required<T>(
        &self,
        key: &'static str,
        example: &str,
        take: impl FnOnce(&Value<'d>) -> Result<T, Wrong>,
    ) -> Result<T, Wrong> {
        if let Some(value) = self.get(key) {
            return take(&value);
        }
        let place = if self.name.is_empty() { "it belongs above this line" } else { "it belongs in here" };
        Err(self.file.report(
            Diagnostic::new(format!("`{}` is missing", self.path_of(key)))
                .at(self.place(place))
                .help(format!("write `{key} = {example}`")),
        ))
    }

    /// The table `[key]`, if it is there.
    pub fn section(&self, key: &'static str) -> Result<Option<Table<'d>>, Wrong> {
        let form = if self.name.is_empty() {
            format!("a table: `[{key}]`")
        } else {
            "a table: `{ key = \"value\" }`".to_owned()
        };
        self.optional(key, |value| value.table(&form))
    }

    /// The table `[key]`; an empty one if it is not there.
    pub fn section_or_empty(&self, key: &'static str) -> Result<Table<'d>, Wrong> {
        let absent = || Table::new(self.file, key.to_owned(), self.header.clone(), None);
        self.section(key).map(|section| section.unwrap_or_else(absent))
    }

    /// The table `[key]`; if it is not there, the error gives `reason`, and shows an `example`.
    pub fn required_section(&self, key: &'static str, reason: &str, example: &str) -> Result<Table<'d>, Wrong> {
        self.section(key)?.ok_or_else(|| {
            self.file.report(
                Diagnostic::new(format!("there is no `[{key}]`: {reason}"))
                    .at(self.file.whole())
                    .help(format!("add `[{key}]` with {example}")),
            )
        })
    }

    /// The tables `[[key]]`; none if there are none.
    pub fn sections(&self, key: &'static str) -> Result<Vec<Table<'d>>, Wrong> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let form = format!("a list of tables: `[[{key}]]`");
        let tables: Vec<_> = value.items(&form)?.into_iter().map(|item| item.table(&form)).collect();
        tables.into_iter().collect()
    }

    /// Every key with its value, for tables whose keys are free.
    pub fn entries(&self) -> Vec<(&'d str, Place, Value<'d>)> {
        let entries = self.entries.into_iter().flatten();
        entries
            .map(|(key, value)| {
                let name: &'d str = key.get_ref();
                let value = Value::new(self.file, self.path_of(name), value);
                (name, self.file.place(key.span(), ""), value)
            })
            .collect()
    }

    /// Reports each key that nobody asked for. To be called last.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, place, _) in self.entries().into_iter().filter(|(key, ..)| !asked.contains(key)) {
            let message = match self.name.as_str() {
                "" => format!("unknown key `{key}`"),
                name => format!("unknown key `{key}` in `{name}`"),
            };
            let hint = suggest::closest(key, asked.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            self.file.report(Diagnostic::new(message).at(place.label(hint.unwrap_or_default())).help(
                match asked.as_slice() {
                    [only] => format!("the only key here is `{only}`"),
                    _ => format!("the keys here are {}", suggest::list(asked.iter().copied())),
                },
            ));
        }
    }

    /// Whether `key` is there.
    pub fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// The place of the value of `key`; the table's own if it has none.
    pub fn place_of(&self, key: &'static str) -> Place {
        self.entry(key).map_or_else(|| self.place(""), |value| value.place(""))
    }

    /// The place of the table's header.
    pub fn place(&self, label: &str) -> Place {
        self.file.place(self.header.clone(), label)
    }

    /// The file that it stands in.
    pub fn file(&self) -> File<'d> {
        self.file
    }

    fn entry(&self, key: &str) -> Option<Value<'d>> {
        let value = self.entries?.get(key)?;
        Some(Value::new(self.file, self.path_of(key), value))
    }

    fn path_of(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// What `value` is, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(array) if array.iter().any(|item| item.get_ref().is_table()) => "a list of tables",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
