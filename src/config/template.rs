//! Texts with placeholders: which of them have a value where, and whether quoting them works.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::{Piece, Placeholder, Template, TemplateError};

use super::Diagnostic;
use super::diagnostic::Place;
use super::report::Wrong;
use super::value::Value;
use super::{shell, suggest, take, vars};

/// What is known about the values of placeholders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Templates<'a> {
    /// The inventory's `[vars]`; none if they could not be read, and then they are not judged.
    pub vars: Option<&'a BTreeMap<String, String>>,
}

/// Which placeholders have a value at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Those of the host: the place is used whatever the release.
    Host,
    /// And the port: the place is used once an instance, whatever the release.
    Port,
    /// Those of the host and of the release: the place is used once a host.
    Release,
    /// All of them: the place is used once an instance.
    Instance,
}

impl Known {
    fn covers(self, placeholder: &Placeholder) -> bool {
        match placeholder {
            Placeholder::Port => matches!(self, Self::Port | Self::Instance),
            Placeholder::Release | Placeholder::ReleasePath => matches!(self, Self::Release | Self::Instance),
            Placeholder::Host | Placeholder::Address | Placeholder::Environment | Placeholder::Var(_) => true,
        }
    }

    fn words(self) -> &'static [&'static str] {
        const ALL: [&str; 7] =
            ["{host}", "{address}", "{environment}", "{vars.NAME}", "{release}", "{release-path}", "{port}"];
        match self {
            Self::Host => &ALL[..4],
            Self::Port => &["{host}", "{address}", "{environment}", "{vars.NAME}", "{port}"],
            Self::Release => &ALL[..6],
            Self::Instance => &ALL,
        }
    }
}

impl Templates<'_> {
    /// A text of one line with placeholders.
    pub fn line(self, value: &Value<'_>, known: Known) -> Result<Template, Wrong> {
        take::line(value)?;
        self.text(value, known)
    }

    /// A command for the shell, in which placeholders are quoted; it may have several lines.
    pub fn command(self, value: &Value<'_>, known: Known) -> Result<Template, Wrong> {
        if value.string()?.trim().is_empty() {
            return Err(value.fail("is empty", "a command is needed"));
        }
        let template = self.text(value, known)?;
        self.check_quotes(value, &template)?;
        Ok(template)
    }

    /// A text with placeholders.
    pub fn text(self, value: &Value<'_>, known: Known) -> Result<Template, Wrong> {
        let text = value.string()?;
        let odd = text.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\n' | '\t'));
        if let Some((at, odd)) = odd {
            let place = value.place_within(at..at + odd.len_utf8(), format!("this holds `{}`", odd.escape_default()));
            let help = (odd == '\r').then(|| "save the file with line ends of Unix".to_owned());
            return Err(value.fail_with(value.wrong("must be plain text", "").at(place).maybe_help(help)));
        }
        let template = Template::parse(text).map_err(|error| broken(value, &error, known))?;
        let mut outcome = Ok(());
        for placeholder in template.placeholders().collect::<BTreeSet<_>>() {
            if let Err(wrong) = self.check(value, placeholder, known) {
                outcome = Err(wrong);
            }
        }
        outcome.map(|()| template)
    }

    /// Whether `placeholder` has a value at a place where `known` is.
    fn check(self, value: &Value<'_>, placeholder: &Placeholder, known: Known) -> Result<(), Wrong> {
        if !known.covers(placeholder) {
            let error = Diagnostic::new(format!("`{placeholder}` can't be used in {}", value.name()))
                .at(spot(value, placeholder, lacking(placeholder)))
                .help(format!("what can be used here: {}", suggest::list(known.words().iter().copied())));
            return Err(value.fail_with(error));
        }
        let (Placeholder::Var(name), Some(vars)) = (placeholder, self.vars) else { return Ok(()) };
        if vars.contains_key(name) {
            return Ok(());
        }
        let near = suggest::closest(name, vars.keys().map(String::as_str));
        let label = near.map_or_else(String::new, |near| format!("did you mean `{{vars.{near}}}`?"));
        let error =
            Diagnostic::new(format!("{} uses `{placeholder}`, which the inventory does not have", value.name()))
                .at(spot(value, placeholder, &label))
                .help(format!("add `{name} = \"…\"` to the inventory's `[vars]`"));
        Err(value.fail_with(error))
    }

    /// shipit quotes values itself, so one that needs quotes must not stand in quotes already.
    fn check_quotes(self, value: &Value<'_>, template: &Template) -> Result<(), Wrong> {
        let (Some(known), text) = (self.vars, value.string()?) else { return Ok(()) };
        let quoted = shell::quoted(text);
        for placeholder in template.placeholders().collect::<BTreeSet<_>>() {
            let Placeholder::Var(name) = placeholder else { continue };
            let inside = places(text, placeholder).find(|place| quoted.iter().any(|part| part.contains(&place.start)));
            let Some(inside) = inside.filter(|_| known.get(name).is_some_and(|value| !shell::is_harmless(value)))
            else {
                continue;
            };
            let error = value
                .wrong(&format!("has `{placeholder}` in quotes, and its value needs quotes of its own"), "")
                .at(value.place_within(inside, "shipit quotes this itself"))
                .help("leave the quotes around it away")
                .help(format!("or use the environment variable: `\"${}\"`", vars::variable(name)));
            return Err(value.fail_with(error));
        }
        Ok(())
    }
}

/// Why `placeholder` has no value at a place.
fn lacking(placeholder: &Placeholder) -> &'static str {
    if *placeholder == Placeholder::Port {
        "this is used once a host, not once an instance"
    } else {
        "this must stay the same from release to release"
    }
}

/// The text that `template` begins with, before its first placeholder.
pub(super) fn beginning(template: &Template) -> String {
    match template.pieces().first() {
        Some(Piece::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

/// Where `placeholder` stands in `text`, the text of a template.
fn places(text: &str, placeholder: &Placeholder) -> impl Iterator<Item = Range<usize>> {
    let written = placeholder.to_string();
    let starts: Vec<_> = text.match_indices(&written).map(|(at, _)| at).collect();
    starts.into_iter().map(move |at| at..at + written.len()).filter(|place| {
        // Behind a brace it is the second one of `{{`, and behind a dollar sign it is a variable of the shell.
        let before = &text[..place.start];
        let braces = before.len() - before.trim_end_matches('{').len();
        braces.is_multiple_of(2) && !before.ends_with('$')
    })
}

/// The first place of `placeholder` in `value`.
fn spot(value: &Value<'_>, placeholder: &Placeholder, label: &str) -> Place {
    let first = value.string().ok().and_then(|text| places(text, placeholder).next());
    first.map_or_else(|| value.place(label), |place| value.place_within(place, label))
}

fn broken(value: &Value<'_>, error: &TemplateError, known: Known) -> Wrong {
    let diagnostic = match error {
        TemplateError::Open { at } => value
            .wrong("has a placeholder without an end", "")
            .at(value.place_within(*at..*at + 1, "this brace is never closed"))
            .help("for a brace that is no placeholder write `{{`"),
        TemplateError::Unknown { name, at } => {
            let words = known.words();
            let near = suggest::closest(name, words.iter().map(|word| word.trim_matches(['{', '}'])));
            let label = near.map_or_else(String::new, |near| format!("did you mean `{{{near}}}`?"));
            value
                .wrong(&format!("has an unknown placeholder `{{{name}}}`"), "")
                .at(value.place_within(*at..*at + name.len() + 2, label))
                .help(format!("what can be used here: {}", suggest::list(words.iter().copied())))
                .help("for braces that are no placeholder write `{{` and `}}`")
        }
    };
    value.fail_with(diagnostic)
}
