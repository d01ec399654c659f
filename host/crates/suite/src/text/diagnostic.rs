//! What is wrong with a suite, and how it is shown: message, place, source line, caret, help.

use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{
    secret_scan,
    source::{Sources, Span},
};

/// One mistake in a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The place that the caret points at.
    pub span: Span,
    /// What is wrong, as a lowercase fragment.
    pub message: String,
    /// What to do about it, if that is known.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake at `span`.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All mistakes found in a suite, in the order of their places, each once.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    sources: Sources,
    diagnostics: Vec<Diagnostic>,
}

impl Diagnostics {
    /// `diagnostics` about the texts in `sources`; see [`Suite::sources`](crate::Suite::sources).
    #[must_use]
    pub fn new(sources: Sources, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by(|a, b| (a.span, &a.message).cmp(&(b.span, &b.message)));
        diagnostics.dedup_by(|a, b| a.span == b.span && a.message == b.message);
        Self { sources, diagnostics }
    }

    /// The diagnostics in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.diagnostics.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.diagnostics.len()
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// The texts that the diagnostics point into.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// All diagnostics as text for people, a blank line between two, with terminal colours if `colour` is set.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            if !out.is_empty() {
                out.push('\n');
            }
            // Its lines may end in the log of a CI job.
            let text = secret_scan::covered(self.sources.text_of(diagnostic.span.origin));
            out.push_str(renderer.render(&[self.group(diagnostic, &text)]).trim_end());
            out.push('\n');
        }
        out
    }

    fn group<'a>(&'a self, diagnostic: &'a Diagnostic, text: &'a str) -> annotate_snippets::Group<'a> {
        let end = text.floor_char_boundary(diagnostic.span.end);
        let start = text.floor_char_boundary(diagnostic.span.start).min(end);
        let group = Level::ERROR.primary_title(diagnostic.message.as_str()).element(
            Snippet::source(text)
                .path(self.sources.name(diagnostic.span))
                .annotation(AnnotationKind::Primary.span(start..end)),
        );
        match &diagnostic.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Origin, Source};

    #[test]
    fn findings_are_sorted_shown_once_and_clamped_to_the_text() {
        let sources = Sources::new(Source { name: "suite.toml", text: "a = 1\nbé = 2\n" }, &[]);
        let at = |range| Span::new(Origin::File, range);
        let all = Diagnostics::new(
            sources,
            vec![
                Diagnostic::new(at(6..9), "second"),
                Diagnostic::new(at(0..1), "first").help("drop it"),
                Diagnostic::new(at(6..9), "second"),
                Diagnostic::new(at(900..901), "beyond"),
            ],
        );
        assert_eq!(all.len(), 3);
        let text = all.render(false);
        assert!(text.starts_with("error: first\n --> suite.toml:1:1\n"), "{text}");
        assert!(text.contains("help: drop it"), "{text}");
        assert!(text.contains("beyond"), "{text}");
        assert!(!text.contains('\u{1b}') && all.render(true).contains('\u{1b}'));
    }
}
