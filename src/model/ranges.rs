//! Many hosts in few words: `web[1:8], lb1`, the inventory's own way to write them.

use std::borrow::Borrow;

use super::HostName;

/// A name cut at its last run of digits.
struct Cut<'a> {
    before: &'a str,
    digits: &'a str,
    after: &'a str,
}

/// `hosts` as ranges, in the order of their names and numbers.
pub fn ranges<H: Borrow<HostName>>(hosts: impl IntoIterator<Item = H>) -> String {
    let mut names: Vec<H> = hosts.into_iter().collect();
    names.sort_by_cached_key(|name| {
        let cut = Cut::of(name.borrow().as_str());
        (cut.before.to_owned(), cut.after.to_owned(), cut.number(), name.borrow().as_str().len())
    });
    let mut runs: Vec<(&str, &str)> = Vec::new();
    for name in names.iter().map(|name| name.borrow().as_str()) {
        match runs.last_mut() {
            Some((_, last)) if Cut::of(last).is_before(&Cut::of(name)) => *last = name,
            _ => runs.push((name, name)),
        }
    }
    runs.iter().map(|(first, last)| run(first, last)).collect::<Vec<_>>().join(", ")
}

fn run(first: &str, last: &str) -> String {
    let (from, to) = (Cut::of(first), Cut::of(last));
    match to.number().unwrap_or_default() - from.number().unwrap_or_default() {
        0 => first.to_owned(),
        1 => format!("{first}, {last}"),
        _ => format!("{}[{}:{}]{}", from.before, from.digits, to.digits, from.after),
    }
}

impl<'a> Cut<'a> {
    fn of(name: &'a str) -> Self {
        let end = name.rfind(|c: char| c.is_ascii_digit()).map_or(0, |last| last + 1);
        let start = name[..end].trim_end_matches(|c: char| c.is_ascii_digit()).len();
        Self { before: &name[..start], digits: &name[start..end], after: &name[end..] }
    }

    fn number(&self) -> Option<u64> {
        self.digits.parse().ok()
    }

    /// Whether `next` is the name that a range writes after this one.
    fn is_before(&self, next: &Self) -> bool {
        let (Some(here), Some(there)) = (self.number(), next.number()) else { return false };
        let width = if self.digits.starts_with('0') { self.digits.len() } else { 0 };
        self.before == next.before
            && self.after == next.after
            && here.checked_add(1) == Some(there)
            && next.digits == format!("{there:0width$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_ranges_and_others_stay_names() {
        for (names, text) in [
            ("web1 web10 web2 web3 web11 web12", "web[1:3], web[10:12]"),
            ("web09 web10 web08", "web[08:10]"),
            ("a1.example b1.example a2.example a3.example", "a[1:3].example, b1.example"),
            ("lb web1 web2", "lb, web1, web2"),
            ("web1 web01 web2 web3", "web1, web01, web2, web3"),
            ("", ""),
        ] {
            let hosts = names.split_whitespace().map(|name| name.parse::<HostName>().unwrap());
            assert_eq!(ranges(hosts), text);
        }
    }
}
