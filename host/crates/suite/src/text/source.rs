//! The texts that a suite is made of, and places in them.

use std::{fmt, ops::Range, sync::Arc};

/// A suite file: what to call it in messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The name shown in messages, usually the path that the user typed.
    pub name: &'a str,
    /// The contents of the file.
    pub text: &'a str,
}

/// The name under which overrides from the command line appear in messages.
pub(crate) const SETS: &str = "--set";

/// Which text a [`Span`] lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Origin {
    /// The suite file.
    File,
    /// The overrides from the command line, one per line.
    Sets,
}

/// A place in the suite file or in an override: bytes `start..end` of that text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub(crate) origin: Origin,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn new(origin: Origin, range: Range<usize>) -> Self {
        Self { origin, start: range.start, end: range.end.max(range.start) }
    }

    /// A place in the file: these bytes of it.
    #[must_use]
    pub fn in_file(range: Range<usize>) -> Self {
        Self::new(Origin::File, range)
    }

    /// The bytes covered, within the text that the span belongs to.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.origin == Origin::Sets { SETS } else { "" };
        write!(f, "{prefix}@{}..{}", self.start, self.end)
    }
}

/// A value with its place, for diagnostics that only others can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value itself, without its place.
    pub value: T,
    /// The bytes that spell the value.
    pub span: Span,
}

/// The texts that spans point into: the suite file and the overrides. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sources {
    inner: Arc<Texts>,
}

#[derive(Debug)]
struct Texts {
    name: String,
    text: String,
    sets: String,
}

impl Sources {
    pub(crate) fn new(source: Source<'_>, sets: &[String]) -> Self {
        Self {
            inner: Arc::new(Texts {
                name: source.name.to_owned(),
                text: source.text.to_owned(),
                sets: sets.join("\n"),
            }),
        }
    }

    /// One file without overrides: also for files of other formats.
    #[must_use]
    pub fn file(source: Source<'_>) -> Self {
        Self::new(source, &[])
    }

    /// The suite file's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The overrides' text, one per line; empty without any. Together with [`Sources::text`] and the environment's name
    /// it identifies what was asked for.
    #[must_use]
    pub fn sets(&self) -> &str {
        &self.inner.sets
    }

    /// What the text of `span` is called in messages.
    #[must_use]
    pub fn name(&self, span: Span) -> &str {
        match span.origin {
            Origin::File => &self.inner.name,
            Origin::Sets => SETS,
        }
    }

    pub(crate) fn text_of(&self, origin: Origin) -> &str {
        match origin {
            Origin::File => &self.inner.text,
            Origin::Sets => &self.inner.sets,
        }
    }

    /// The text that `span` covers; empty if the span is not of these sources.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text_of(span.origin).get(span.range()).unwrap_or_default()
    }

    /// Line and column of the start of `span`, both counted from 1, the column in characters.
    #[must_use]
    pub fn position(&self, span: Span) -> (usize, usize) {
        let before = self.text_of(span.origin).get(..span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }

    /// The place of `range`, counted within the value `text` of the literal at `span`. The whole literal if its spelling
    /// differs from its value (escapes, variables), because offsets don't carry over then.
    pub(crate) fn within(&self, span: Span, text: &str, range: Range<usize>) -> Span {
        let raw = self.slice(span);
        let opening = ["\"\"\"", "'''", "\"", "'", ""].into_iter().find(|quote| {
            raw.strip_prefix(quote).and_then(|raw| raw.strip_suffix(quote)).is_some_and(|inner| inner == text)
        });
        match opening {
            Some(quote) if text.get(range.clone()).is_some() => {
                let start = span.start + quote.len();
                Span::new(span.origin, start + range.start..start + range.end)
            }
            _ => span,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_inside_a_literal_is_found_behind_its_quotes() {
        let sources = Sources::new(Source { name: "s", text: "a = \"hello\"\nb = \"h\\u0065llo\"" }, &[]);
        let plain = Span::new(Origin::File, 4..11);
        assert_eq!(sources.slice(sources.within(plain, "hello", 1..3)), "el");
        let escaped = Span::new(Origin::File, 16..28);
        assert_eq!(sources.within(escaped, "hello", 1..3), escaped);
    }

    #[test]
    fn positions_count_characters_from_one() {
        let sources = Sources::new(Source { name: "s", text: "é = 1\nü = x" }, &[]);
        let at = sources.text().find('x').unwrap();
        assert_eq!(sources.position(Span::new(Origin::File, at..at + 1)), (2, 5));
    }
}
