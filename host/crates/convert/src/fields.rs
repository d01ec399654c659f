//! Reads the fields of JSON objects and collects what is wrong with them.

use std::ops::RangeInclusive;

use jsonc_parser::ast::{Object, ObjectProp, Value};
use kperf_suite::{Diagnostic, Span, closest, suggestion};

use crate::json;

/// The fields of an object, each once and each known; `null` is as good as absent.
pub(crate) struct Fields<'a> {
    place: Span,
    fields: Vec<&'a ObjectProp<'a>>,
    /// What a misspelt field was probably meant to be: it is not missing as well.
    meant: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Looks at the names in `object`: unknown ones and repeated ones are diagnostics.
    pub fn new(object: &'a Object<'a>, known: &[&'static str], owner: &str, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let span = object.range;
        let mut this = Self { place: Span::in_file(span.start..span.end), fields: Vec::new(), meant: Vec::new() };
        for field in &object.properties {
            let name = field.name.as_str();
            let place = json::name_place(field);
            if this.fields.iter().any(|other| other.name.as_str() == name) {
                diagnostics.push(Diagnostic::new(place, format!("`{name}` stands here twice")).help("leave one out"));
            } else if known.contains(&name) {
                this.fields.push(field);
            } else {
                let message = format!("unknown field `{name}` in {owner}");
                diagnostics.push(Diagnostic::new(place, message).help(suggestion(name, known.iter().copied())));
                this.meant.extend(closest(name, known.iter().copied()).and_then(|it| known.iter().find(|k| **k == it)));
            }
        }
        this
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&'a Value<'a>> {
        self.written(name).filter(|value| !matches!(value, Value::NullKeyword(_)))
    }

    /// Where a field's value stands, or else the beginning of the object.
    pub fn place_of(&self, name: &str) -> Span {
        self.get(name).map_or_else(|| self.beginning(), json::place)
    }

    /// Where the field's name stands; None if it is not there.
    pub fn name_of(&self, name: &str) -> Option<Span> {
        self.get(name)?;
        self.fields.iter().find(|field| field.name.as_str() == name).map(|field| json::name_place(field))
    }

    /// As [`Fields::get`]; that there is none is a diagnostic.
    pub fn required(&self, name: &'static str, diagnostics: &mut Vec<Diagnostic>) -> Option<&'a Value<'a>> {
        let value = self.get(name);
        if value.is_none() && !self.meant.contains(&name) {
            diagnostics.push(match self.written(name) {
                Some(null) => Diagnostic::new(json::place(null), format!("`{name}` is required, found `null`")),
                None => Diagnostic::new(self.beginning(), format!("`{name}` is missing")),
            });
        }
        value
    }

    /// Whether the object tried to have this field.
    pub fn has_or_meant(&self, name: &str) -> bool {
        self.get(name).is_some() || self.meant.contains(&name)
    }

    fn written(&self, name: &str) -> Option<&'a Value<'a>> {
        self.fields.iter().find(|field| field.name.as_str() == name).map(|field| &field.value)
    }

    /// The opening brace.
    fn beginning(&self) -> Span {
        let start = self.place.range().start;
        Span::in_file(start..start + 1)
    }
}

/// Reads a whole number of `what`, which is a plural.
pub(crate) fn number(
    value: &Value<'_>,
    what: &str,
    range: RangeInclusive<u32>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<u32> {
    let read = match value {
        Value::NumberLit(number) => json::whole(number.value),
        _ => None,
    };
    if let Some(number) = read.and_then(|number| u32::try_from(number).ok()).filter(|number| range.contains(number)) {
        return Some(number);
    }
    let expected = match (*range.start(), *range.end()) {
        (least, u32::MAX) => format!("of at least {least}"),
        (least, most) => format!("from {least} to {most}"),
    };
    let message = format!("expected a whole number of {what} {expected}, found {}", json::found(value));
    let diagnostic = Diagnostic::new(json::place(value), message);
    diagnostics.push(match value {
        Value::StringLit(text) if json::whole(text.value.trim()).is_some() && !text.value.trim().is_empty() => {
            diagnostic.help(format!("write {} without quotes", text.value.trim()))
        }
        _ => diagnostic,
    });
    None
}

/// Reads a text that is not empty; `what` says which.
pub(crate) fn text<'a>(value: &'a Value<'a>, what: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<&'a str> {
    match value {
        Value::StringLit(text) if !text.value.is_empty() => Some(&text.value),
        _ => {
            let message = format!("expected {what}, found {}", json::found(value));
            diagnostics.push(Diagnostic::new(json::place(value), message));
            None
        }
    }
}

/// Reads an object.
pub(crate) fn object<'a>(
    value: &'a Value<'a>,
    what: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<&'a Object<'a>> {
    if let Value::Object(object) = value {
        return Some(object);
    }
    let message = format!("expected {what}, found {}", json::found(value));
    diagnostics.push(Diagnostic::new(json::place(value), message));
    None
}
