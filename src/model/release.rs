//! A release: one shipped version of the app.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a release's directory: when it was made, then what it was made of, as `20261120-224512-1a2b3c4d`.
///
/// Ids of one fleet sort by time, so "newer" needs no file dates, which an unpacked archive may set at will.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ReleaseId(String);

/// A text that is no release id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no release id; one looks like `20261120-224512-1a2b3c4d`", .0.escape_default())]
pub struct ReleaseIdError(String);

/// What a release is made of, so that equal content is recognised: a commit or a sha256, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(String);

/// A release to put on hosts, or one that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its directory's name.
    pub id: ReleaseId,
    /// What it is made of.
    pub fingerprint: Fingerprint,
    /// Where it came from, in words for people: a branch, a directory, a file.
    pub origin: String,
}

/// What is known of a release's content before it is on a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes that it takes on a disk, the packed form included.
    pub bytes: u64,
    /// Files and directories in it.
    pub entries: u64,
}

impl ReleaseId {
    /// The id of a release made of `fingerprint` at `stamp`, which is `YYYYMMDD-HHMMSS` in UTC.
    pub fn new(stamp: &str, fingerprint: &Fingerprint) -> Result<Self, ReleaseIdError> {
        format!("{stamp}-{}", &fingerprint.0[..8]).parse()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Fingerprint {
    /// Whether it is a commit of git, and not the sum of an archive.
    #[must_use]
    pub fn is_commit(&self) -> bool {
        self.0.len() == 40
    }

    /// The fingerprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReleaseId {
    type Err = ReleaseIdError;

    fn from_str(text: &str) -> Result<Self, ReleaseIdError> {
        let digits = |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
        let hex =
            |part: &str| part.len() == 8 && part.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        match text.split('-').collect::<Vec<_>>()[..] {
            [day, time, mark] if digits(day, 8) && digits(time, 6) && hex(mark) => Ok(Self(text.to_owned())),
            _ => Err(ReleaseIdError(text.to_owned())),
        }
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is neither a commit nor a sha256", text.escape_default()))
        }
    }
}

impl TryFrom<String> for ReleaseId {
    type Error = ReleaseIdError;

    fn try_from(text: String) -> Result<Self, ReleaseIdError> {
        text.parse()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ReleaseId> for String {
    fn from(id: ReleaseId) -> Self {
        id.0
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_stamp_and_a_mark_and_nothing_else() {
        assert!("20261120-224512-1a2b3c4d".parse::<ReleaseId>().is_ok());
        for text in ["", "current", "../../etc", "20261120-224512-1A2B3C4D", "20261120-224512-1a2b3c4d/x", "2026-1-1"] {
            assert!(text.parse::<ReleaseId>().is_err(), "{text}");
        }
    }
}
