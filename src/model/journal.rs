//! The journal of a host: its lines, as `remote/scripts/journal.sh` writes them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::RunId;

/// One line of a host's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When it began, in UTC, by the clock of whoever ran shipit. Texts of this form sort by time.
    pub time: String,
    /// Of which run.
    pub run: RunId,
    /// `began`, `step`, `ended`, `guard`.
    pub kind: String,
    /// What more there is to it.
    #[serde(flatten)]
    pub fields: BTreeMap<String, String>,
}

/// What a host's journal holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journal {
    /// Its records, the oldest first.
    pub records: Vec<Record>,
    /// Lines that were cut off or changed.
    pub broken: usize,
}

impl Journal {
    /// Reads a journal. A line whose sum is not its own is counted and passed over.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut journal = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match Record::parse(line) {
                Some(record) => journal.records.push(record),
                None => journal.broken += 1,
            }
        }
        journal
    }
}

impl Record {
    fn parse(line: &str) -> Option<Self> {
        let (sum, rest) = line.split_once('\t')?;
        if sum.parse() != Ok(checksum(rest)) {
            return None;
        }
        let mut parts = rest.split('\t');
        let (time, run, kind) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?.to_owned());
        let field = |part: &str| part.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Some(Self { time, run, kind, fields: parts.filter_map(field).collect() })
    }

    /// The value of the field `name`; an empty one says nothing.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The sum of a line. awk computes the same on every host, whose numbers are exact up to 2⁵³.
fn checksum(line: &str) -> u64 {
    line.bytes().fold(0, |sum, byte| (sum * 131 + u64::from(byte)) % 2_147_483_647)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_touched_is_passed_over() {
        let rest = "2026-11-21T02:17:10Z\t20261121T021710Z-1a2b3c4d\tstep\tdo=restart\twhy=a=b";
        let line = format!("{}\t{rest}", checksum(rest));
        let journal = Journal::read(&format!("{line}\n{}\n{}\n\nnot ours\n", &line[..40], line.replace("a=b", "a=c")));
        assert_eq!(journal.broken, 3);
        assert_eq!(journal.records.len(), 1);
        assert_eq!(journal.records[0].field("why"), Some("a=b"));
    }
}
