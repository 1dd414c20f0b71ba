//! What is wrong in a scenario file, where, and what was expected; and how a person is shown it.
//!
//! Rendering never panics, whatever bytes the file holds and wherever a span points.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;

/// One error of a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The bytes of the source that are wrong.
    pub span: Range<usize>,
    /// What is wrong, in one line.
    pub message: String,
    /// What was expected in this place; shown beside the underlined text.
    pub label: String,
    /// What else helps: the valid words, or what to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    pub(super) fn new(
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic { span, message: message.into(), label: label.into(), help: None }
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

/// How many errors of a file are shown: more than anyone mends in one go, few enough to be shown at once, since each
/// costs a pass over the file.
const MOST: usize = 100;

/// Shows `diagnostics` of the file called `file_name` with the text `source`, as a compiler would: the message,
/// the file, line and column, the line itself with the place underlined, and help. With ANSI colors if `color`.
/// Of more than a hundred the first are shown, and how many more there are.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], file_name: &str, source: &str, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let reports = diagnostics.iter().take(MOST).map(|diagnostic| {
        let place =
            AnnotationKind::Primary.span(clamped(&diagnostic.span, source)).label(diagnostic.label.as_str());
        let snippet = Snippet::source(source).path(file_name).annotation(place);
        let mut group = Level::ERROR.primary_title(diagnostic.message.as_str()).element(snippet);
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    });
    let mut text = reports.collect::<Vec<_>>().join("\n\n");
    text.push('\n');
    match diagnostics.len().saturating_sub(MOST) {
        0 => {}
        more => text.push_str(&format!("\nand {more} more\n")),
    }
    text
}

/// The span within the source, on character boundaries.
fn clamped(span: &Range<usize>, source: &str) -> Range<usize> {
    let start = source.floor_char_boundary(span.start.min(source.len()));
    let end = source.ceil_char_boundary(span.end.clamp(start, source.len()));
    start..end
}

/// `word` as messages quote it: in backquotes, printable, and of a length that a line can bear.
pub(super) fn quote(word: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown: String = word.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    // `escape_debug` is for string literals; backquotes need no such escape.
    shown = shown.replace("\\\"", "\"").replace("\\'", "'");
    if word.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

/// The word of `words` that was probably meant by `word`: equal but for case and dashes, or few edits away.
pub(super) fn nearest<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let plain = |w: &str| w.to_lowercase().replace(['_', ' '], "-");
    let wanted = plain(word);
    // One edit for each three letters: "crahs" is two from "crash" (a swap counts once), "foo" near nothing.
    let allowed = (wanted.chars().count() / 3).max(1);
    words
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b`, `c`
pub(super) fn listed<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// `a`, `b` or `c`
pub(super) fn either(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => {
            format!("{} or {}", listed(rest.iter().copied()), quote(last))
        }
        _ => listed(words.iter().copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_typos_and_leaves_strangers() {
        let words = ["crash", "restart", "heal", "append-response"];
        assert_eq!(nearest("crahs", words), Some("crash"));
        assert_eq!(nearest("Heal", words), Some("heal"));
        assert_eq!(nearest("append_response", words), Some("append-response"));
        assert_eq!(nearest("explode", words), None);
        assert_eq!(nearest("", words), None);
    }

    #[test]
    fn of_many_errors_the_first_are_shown() {
        let shown = |errors: usize| {
            let diagnostics: Vec<_> =
                (0..errors).map(|n| Diagnostic::new(0..1, format!("m{n}"), "l")).collect();
            render(&diagnostics, "f", "a", false)
        };
        assert!(shown(MOST).contains("m99") && !shown(MOST).contains("more"));
        let text = shown(MOST + 17);
        assert!(text.contains("m99") && !text.contains("m100"), "{text}");
        assert!(text.ends_with("\n\nand 17 more\n"), "{text}");
    }

    #[test]
    fn rendering_survives_spans_that_point_nowhere() {
        let backwards = Range { start: 5, end: 3 };
        for span in [0..0, 1..2, backwards, 90..100, 0..usize::MAX] {
            let text = render(&[Diagnostic::new(span, "m", "l").help("h")], "f", "aé\u{7}\n", false);
            assert!(text.contains("error: m"), "{text}");
        }
        assert!(render(&[Diagnostic::new(0..0, "m", "l")], "f", "", true).contains('m'));
    }
}
