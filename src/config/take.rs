//! What values are read as, beyond TOML's own types.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use crate::model::{Amount, NameError};

use super::report::Wrong;
use super::suggest;
use super::value::Value;

/// The longest time that is accepted: beyond a day it is a slip of the unit, and no CI job waits so long.
const LONGEST: Duration = Duration::from_hours(24);

/// A name of one of the kinds of the model.
pub(super) fn name<T: FromStr<Err = NameError>>(value: &Value<'_>) -> Result<T, Wrong> {
    value.string()?.parse().map_err(|error: NameError| value.fail("is not a name", error.to_string()))
}

/// A string that is not empty and of one line.
pub(super) fn line<'d>(value: &Value<'d>) -> Result<&'d str, Wrong> {
    let text = value.string()?;
    if text.trim().is_empty() {
        return Err(value.fail("is empty", ""));
    }
    match text.chars().find(|c| c.is_control()) {
        None => Ok(text),
        Some(odd) => {
            Err(value.fail("must be one line of plain text", format!("this holds `{}`", odd.escape_default())))
        }
    }
}

/// A time longer than none.
pub(super) fn duration(value: &Value<'_>) -> Result<Duration, Wrong> {
    match duration_or_none(value)? {
        Duration::ZERO => Err(value.fail("must be longer than nothing", "this is no time at all")),
        some => Ok(some),
    }
}

/// The same where no time at all has a meaning.
pub(super) fn duration_or_none(value: &Value<'_>) -> Result<Duration, Wrong> {
    const EXAMPLES: &str = "times are written like `\"30s\"`, `\"500ms\"` or `\"1m 30s\"`";
    let written = value.written().trim_matches(['"', '\'']);
    if value.is_number() || written.parse::<u32>().is_ok() {
        let unit = format!("write `\"{written}s\"` if seconds are meant");
        return Err(value.fail_with(value.wrong("needs a unit", "a number of what?").help(unit)));
    }
    let text = value.string()?;
    let parsed = text
        .parse::<SignedDuration>()
        .map_err(|_| value.fail_with(value.wrong("is not a time", "this can't be read").help(EXAMPLES)))?;
    if parsed.is_negative() {
        return Err(value.fail("must be longer than nothing", "this is a time in the past"));
    }
    let parsed = parsed.unsigned_abs();
    if parsed > LONGEST {
        return Err(value.fail("must be at most a day", "this is more than 24 hours"));
    }
    Ok(parsed)
}

/// `3` or `"25%"`.
pub(super) fn amount(value: &Value<'_>) -> Result<Amount, Wrong> {
    if value.is_number() {
        return value.number("a number of hosts").map(Amount::Count);
    }
    let text = value.string()?;
    text.parse().map_err(|_| {
        let error = value.wrong("is not an amount", "neither a number of hosts nor a share of them");
        value.fail_with(error.help("amounts are written like `3` or `\"25%\"`, which is at most `\"100%\"`"))
    })
}

/// A whole number of at least `least`; `what` says what it counts.
pub(super) fn at_least(least: u32, what: &'static str, why: &'static str) -> impl Fn(&Value<'_>) -> Result<u32, Wrong> {
    move |value| match value.number(what)? {
        number if number < least => Err(value.fail(&format!("must be at least {least}"), why)),
        number => Ok(number),
    }
}

/// `true` or `false`.
pub(super) fn bool(value: &Value<'_>) -> Result<bool, Wrong> {
    value.bool()
}

/// One of a few words, each with what it means.
pub(super) fn one_of<T: Copy>(value: &Value<'_>, words: &[(&'static str, T)]) -> Result<T, Wrong> {
    let word = value.string()?;
    match words.iter().find(|(known, _)| *known == word) {
        Some((_, meaning)) => Ok(*meaning),
        None => Err(unknown_word(value, word, words.iter().map(|(known, _)| *known))),
    }
}

/// Reports that `word` is none of `known`.
pub(super) fn unknown_word<'a>(
    value: &Value<'_>,
    word: impl fmt::Display,
    known: impl IntoIterator<Item = &'a str>,
) -> Wrong {
    let word = word.to_string();
    let known: Vec<_> = known.into_iter().collect();
    let near = suggest::closest(&word, known.iter().copied());
    let label = near.map_or_else(|| "there is no such thing".to_owned(), |near| format!("did you mean `{near}`?"));
    value.fail_with(value.wrong(&format!("can't be `{word}`"), label).help(suggest::what_there_is(known)))
}
