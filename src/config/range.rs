//! Ranges of hosts: `web[1:8]`, and `web[01:40]` with leading zeros.

use std::ops::Range;

/// The most hosts that a range, and an inventory, may have: beyond that it is a slip, and memory runs out.
pub(super) const MOST: u32 = 10_000;

/// Why a text is no range; `at` are the bytes that it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct RangeError {
    pub reason: String,
    pub at: Range<usize>,
}

/// The names that `text` stands for: one, or as many as its range counts.
pub(super) fn expand(text: &str) -> Result<Vec<String>, RangeError> {
    let wrong = |reason: &str, at: Range<usize>| RangeError { reason: reason.to_owned(), at };
    let Some(open) = text.find('[') else {
        return match text.find(']') {
            None => Ok(vec![text.to_owned()]),
            Some(at) => Err(wrong("this bracket was never opened", at..at + 1)),
        };
    };
    let close = text[open..].find(']').ok_or_else(|| wrong("this bracket is never closed", open..open + 1))? + open;
    let (head, tail, whole) = (&text[..open], &text[close + 1..], open..close + 1);
    if let Some(at) = tail.find(['[', ']']) {
        let at = close + 1 + at;
        return Err(wrong("a name takes one range", at..at + 1));
    }
    let (first, last) = text[open + 1..close]
        .split_once(':')
        .ok_or_else(|| wrong("a range has two ends with a `:` between them", whole.clone()))?;
    let number = |digits: &str| {
        let counts = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let number = if counts { digits.parse::<u32>().ok() } else { None };
        number.ok_or_else(|| wrong("a range counts from one number to another", whole.clone()))
    };
    let (from, to) = (number(first)?, number(last)?);
    let padded = |digits: &str| digits.len() > 1 && digits.starts_with('0');
    if (padded(first) || padded(last)) && first.len() != last.len() {
        return Err(wrong("with leading zeros, both ends have the same number of digits", whole));
    }
    if from > to {
        return Err(wrong("a range goes upwards", whole));
    }
    if to - from >= MOST {
        return Err(wrong("this is more than 10,000 hosts", whole));
    }
    let width = if padded(first) { first.len() } else { 0 };
    Ok((from..=to).map(|number| format!("{head}{number:0width$}{tail}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_counts_and_keeps_its_zeros() {
        assert_eq!(expand("web").unwrap(), ["web"]);
        assert_eq!(expand("web[8:10].example").unwrap(), ["web8.example", "web9.example", "web10.example"]);
        assert_eq!(expand("web[09:11]").unwrap(), ["web09", "web10", "web11"]);
        assert_eq!(expand("web[00:01]").unwrap(), ["web00", "web01"]);
        assert_eq!(expand("10.0.0.[0:1]").unwrap(), ["10.0.0.0", "10.0.0.1"]);
        assert_eq!(expand("web[1:10000]").unwrap().len(), 10_000);
    }

    #[test]
    fn what_is_no_range_is_refused_at_its_place() {
        for (text, at) in [
            ("web[1:8", 3..4),
            ("web1:8]", 6..7),
            ("web[1-8]", 3..8),
            ("web[a:f]", 3..8),
            ("web[:8]", 3..7),
            ("web[8:1]", 3..8),
            ("web[01:100]", 3..11),
            ("web[0:10000]", 3..12),
            ("web[1:99999999999]", 3..18),
            ("r[1:2]w[1:2]", 7..8),
        ] {
            assert_eq!(expand(text).map_err(|error| error.at), Err(at), "{text}");
        }
    }
}
