//! JSON as it was written: values with their places. Strict: what JSON does not have (comments, trailing commas, bare words,
//! control characters in texts) is a mistake here too.

use std::ops::Range;

use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{ObjectProp, Value},
    common::Ranged,
    parse_to_ast,
};
use kperf_suite::{Diagnostic, Span};
use serde::de::IgnoredAny;

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads a document.
///
/// # Errors
/// The first mistake in the JSON itself, with its place.
pub(crate) fn parse(text: &str) -> Result<Value<'_>, Diagnostic> {
    let collect = CollectOptions::default();
    let document = parse_to_ast(text, &collect, &STRICT).map_err(|error| {
        let range = error.range();
        wrong(range.start..range.end, &error.kind().to_string())
    })?;
    // The parser with places lets pass what the reference for strictness does not: control characters in texts.
    match (document.value, serde_json::from_str::<IgnoredAny>(text)) {
        (Some(value), Ok(_)) => Ok(value),
        (None, _) => Err(wrong(0..text.len(), "the file is empty")),
        (Some(_), Err(error)) => {
            let at = offset(text, error.line(), error.column());
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            // The column of this one is that of the character before; itself it may be the line's end.
            let range = if message.starts_with("control character") { at + 1..at + 1 } else { at..at + 1 };
            Err(wrong(range, message))
        }
    }
}

fn wrong(range: Range<usize>, message: &str) -> Diagnostic {
    let mut letters = message.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    let message: String = first.into_iter().chain(letters).collect();
    Diagnostic::new(Span::in_file(range), format!("invalid JSON: {message}"))
}

/// The byte at a line and column as `serde_json` counts them: both from 1, the column in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

/// Where a value stands.
pub(crate) fn place(value: &Value<'_>) -> Span {
    let range = value.range();
    Span::in_file(range.start..range.end)
}

/// Where a field's name stands.
pub(crate) fn name_place(field: &ObjectProp<'_>) -> Span {
    let range = field.name.range();
    Span::in_file(range.start..range.end)
}

/// What a value is, for messages: `` `90` ``, `an object`.
pub(crate) fn found(value: &Value<'_>) -> String {
    match value {
        Value::StringLit(text) if text.value.is_empty() => "an empty text".to_owned(),
        Value::StringLit(text) => format!("the text `{}`", shortened(&text.value)),
        Value::NumberLit(number) => format!("`{}`", shortened(number.value)),
        Value::BooleanLit(yes) => format!("`{}`", yes.value),
        Value::NullKeyword(_) => "`null`".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "an array".to_owned(),
    }
}

/// The beginning of a text, enough to recognise it by.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A number without a sign and a fraction, however it is spelt: `5`, `5.0`, `5e1`. Numbers above [`u64::MAX`] saturate.
pub(crate) fn whole(number: &str) -> Option<u64> {
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(number.parse().unwrap_or(u64::MAX));
    }
    let value: f64 = number.parse().ok()?;
    // Casts of floats saturate.
    (value >= 0.0 && value.fract() == 0.0).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_does_not_have_is_refused_at_its_place() {
        for (text, part) in [
            ("[1,]", ","),
            ("// x\n[]", "// x"),
            ("[0x1]", "0"),
            ("[01]", ""),
            ("['a']", "'"),
            ("[NaN]", "NaN"),
            ("[\"a\nb\"]", ""),
            ("[\u{a0}1]", "\u{a0}"),
            ("[] []", "["),
            ("{\"a\":1", "{\"a\":1"),
        ] {
            let error = parse(text).unwrap_err();
            let range = error.span.range();
            let end = text.ceil_char_boundary(range.end);
            assert_eq!(&text[range.start..end], part, "{text}: {}", error.message);
        }
        for text in ["", " \n", "[", &"[".repeat(100_000), &"{\"a\":".repeat(100_000)] {
            assert!(parse(text).is_err());
        }
    }

    #[test]
    fn whole_numbers_have_many_spellings() {
        for (text, value) in [("5", 5), ("5.0", 5), ("5e1", 50), ("0", 0), ("99999999999999999999", u64::MAX)] {
            assert_eq!(whole(text), Some(value), "{text}");
        }
        for text in ["-1", "1.5", "1e-1", "1e999"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
