//! Errors as text, in the look of rustc's.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, diagnostic::Place};

/// For files, pipes and logs.
pub(super) const PLAIN: Renderer = Renderer::plain();

/// For terminals.
pub(super) const COLOURED: Renderer = Renderer::styled();

/// All `errors`, an empty line between two of them.
pub(super) fn all(errors: &[Diagnostic], renderer: &Renderer) -> String {
    let texts: Vec<_> = errors.iter().map(|error| one(error, renderer)).collect();
    texts.join("\n\n")
}

fn one(error: &Diagnostic, renderer: &Renderer) -> String {
    let mut group = Group::with_title(Level::ERROR.primary_title(error.message.as_str()));
    if let Some(place) = &error.place {
        let path = place.source.path();
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            error.related.iter().partition(|related| related.source == place.source && related.span.is_some());
        group = match annotation(place, AnnotationKind::Primary) {
            None => group.element(Origin::path(path)),
            Some(primary) => group.element(
                snippet(place)
                    .annotation(primary)
                    .annotations(here.into_iter().filter_map(|place| annotation(place, AnnotationKind::Context))),
            ),
        };
        for place in elsewhere {
            group = group.element(snippet(place).annotations(annotation(place, AnnotationKind::Context)));
        }
    }
    let mut groups = vec![group];
    groups.extend(error.help.iter().map(|help| Group::with_title(Level::HELP.secondary_title(help.as_str()))));
    if error.place.is_some() {
        return renderer.render(&groups);
    }
    // Without a file there is no margin, which the renderer would draw between the groups.
    let texts: Vec<_> = groups.into_iter().map(|group| renderer.render(&[group])).collect();
    texts.join("\n")
}

fn snippet(place: &Place) -> Snippet<'_, Annotation<'_>> {
    Snippet::source(place.source.shown()).path(place.source.path())
}

fn annotation(place: &Place, kind: AnnotationKind) -> Option<Annotation<'_>> {
    let label = Some(place.label.as_str()).filter(|label| !label.is_empty());
    Some(kind.span(place.span.clone()?).label(label))
}
