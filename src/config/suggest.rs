//! "Did you mean".

/// The word of `known` that `word` was probably meant to be.
pub(super) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    // A third of the letters may be wrong: more, and the guess sends people the wrong way.
    let most = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `there are …`, or `there is only …`.
pub(super) fn what_there_is<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().collect();
    match words.as_slice() {
        [only] => format!("there is only `{only}`"),
        _ => format!("there are {}", list(words)),
    }
}

/// `words` as `` `a`, `b` and `c` ``.
pub(super) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_different_word_does_not() {
        let known = ["max-in-flight", "min-serving", "max-failures"];
        assert_eq!(closest("max_in_flight", known), Some("max-in-flight"));
        assert_eq!(closest("minserving", known), Some("min-serving"));
        assert_eq!(closest("parallel", known), None);
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
