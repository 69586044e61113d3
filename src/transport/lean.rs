//! Scripts without what only people need, and without functions that they do not call.
//!
//! This leans on how our scripts are written: a function begins with `name() {` and ends with `}`, each at the beginning of a line,
//! and no text in quotes has an empty line or one that begins with `#`. Data never comes here.

use std::collections::BTreeSet;

/// A piece of a script.
struct Piece<'s> {
    /// What it defines; `None` for what is simply run.
    function: Option<&'s str>,
    lines: Vec<&'s str>,
}

/// `script` without comments, and without functions whose names are nowhere in what is left.
pub(super) fn lean(script: &str) -> String {
    let pieces = pieces(script);
    let mut needed = vec![false; pieces.len()];
    let mut words = BTreeSet::new();
    // What a function says may be the name of another, before it or after it.
    loop {
        let more = |(piece, needed): &(&Piece<'_>, &mut bool)| {
            !**needed && piece.function.is_none_or(|name| words.contains(name))
        };
        let found: Vec<_> = pieces.iter().zip(&mut needed).filter(more).collect();
        if found.is_empty() {
            break;
        }
        for (piece, needed) in found {
            *needed = true;
            words.extend(piece.lines.iter().skip(piece.function.iter().len()).flat_map(|line| names(line)));
        }
    }
    let kept = pieces.iter().zip(needed).filter(|(_, needed)| *needed);
    kept.flat_map(|(piece, _)| &piece.lines).flat_map(|line| [*line, "\n"]).collect()
}

fn pieces(script: &str) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut inside = false;
    for line in script.lines().filter(|line| !is_for_people(line)) {
        let begins = line.strip_suffix("() {").filter(|name| names(name).eq([*name]));
        match pieces.last_mut() {
            Some(piece) if inside || (begins.is_none() && piece.function.is_none()) => piece.lines.push(line),
            _ => pieces.push(Piece { function: begins, lines: vec![line] }),
        }
        inside = line != "}" && (inside || begins.is_some());
    }
    pieces
}

fn is_for_people(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// The words of `line` that may be names of functions.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_called_is_left_out() {
        let script = "\
# What it is.

unused() {
    used
}
later() {
    # Says so.
    echo later
}
used() {
    later \"$1\"
}
if true; then
    used '# x'
fi
";
        let left = "later() {\n    echo later\n}\nused() {\n    later \"$1\"\n}\nif true; then\n    used '# x'\nfi\n";
        assert_eq!(lean(script), left);
    }

    #[test]
    fn what_calls_only_itself_is_left_out() {
        assert_eq!(lean("again() {\n    again\n}\n:\n"), ":\n");
    }
}
