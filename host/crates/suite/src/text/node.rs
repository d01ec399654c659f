//! A suite as it was written: values with their places, before anything knows what they mean.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    diagnostic::Diagnostic,
    source::{Origin, Span},
};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub value: Value,
    pub span: Span,
    /// The text was one whole `${..}`: a place that wants a number or a boolean may read it as one.
    pub variable: bool,
}

/// A value as it was written.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
    /// A text with a variable that has no value: reported, and not to be complained about again.
    Unknown,
}

/// A table's entries in the order of the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub node: Node,
}

impl Table {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at).node)
    }

    /// Adds an entry, in place of one of the same key.
    pub fn insert(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|old| old.key == entry.key) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }
}

impl Node {
    pub fn new(value: Value, span: Span) -> Self {
        Self { value, span, variable: false }
    }

    pub fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub fn table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub fn array(&self) -> Option<&[Self]> {
        match &self.value {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What this is, for messages: `` `90` ``, `a table`.
    pub fn found(&self) -> String {
        match &self.value {
            Value::Array(_) => "an array".to_owned(),
            Value::Table(_) => "a table".to_owned(),
            Value::Text(text) if text.is_empty() => "an empty text".to_owned(),
            Value::Text(text) => format!("the text `{text}`"),
            other => other.plain().map_or_else(String::new, |text| format!("`{text}`")),
        }
    }
}

impl Value {
    /// The value as text; None for arrays and tables.
    pub fn plain(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Datetime(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Float(number) => Some(number.to_string()),
            Self::Bool(yes) => Some(yes.to_string()),
            Self::Array(_) | Self::Table(_) | Self::Unknown => None,
        }
    }
}

/// Reads a TOML document as far as possible. The diagnostics are mistakes in the TOML itself.
pub(crate) fn parse_document(text: &str, origin: Origin, diagnostics: &mut Vec<Diagnostic>) -> Table {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let range = error.span().unwrap_or_default();
        diagnostics.push(Diagnostic::new(Span::new(origin, range), format!("invalid TOML: {}", error.message())));
    }
    let mut reader = Conversion { origin, offset: 0, diagnostics };
    reader.table(document.get_ref())
}

/// Reads one TOML value that starts at byte `offset` of its source; None if the text is no TOML value.
pub(crate) fn parse_value(
    text: &str,
    origin: Origin,
    offset: usize,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(Conversion { origin, offset, diagnostics }.node(&value))
}

struct Conversion<'a> {
    origin: Origin,
    offset: usize,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Conversion<'_> {
    fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span::new(self.origin, range.start + self.offset..range.end + self.offset)
    }

    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_span: self.span(key.span()),
                node: self.node(value),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_span);
        Table { entries }
    }

    fn node(&mut self, node: &Spanned<DeValue<'_>>) -> Node {
        let span = self.span(node.span());
        let value = match node.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => {
                    self.diagnostics.push(Diagnostic::new(span, "this number does not fit in 64 bits"));
                    Value::Integer(0)
                }
            },
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or_default()),
            DeValue::Boolean(yes) => Value::Bool(*yes),
            DeValue::Datetime(at) => Value::Datetime(at.to_string()),
            DeValue::Array(items) => Value::Array(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node::new(value, span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_places_and_reports_every_syntax_error() {
        let text = "b = 30s\na = 1_000\n[t]\nx = nan\nx = 2\nbig = 99999999999999999999\n";
        let mut diagnostics = Vec::new();
        let table = parse_document(text, Origin::File, &mut diagnostics);
        assert_eq!(table.keys().collect::<Vec<_>>(), ["b", "a", "t"]);
        assert!(matches!(table.get("a").unwrap().value, Value::Integer(1000)));
        assert!(
            matches!(table.get("t").unwrap().table().unwrap().get("x").unwrap().value, Value::Float(x) if x.is_nan())
        );
        let places: Vec<&str> = diagnostics.iter().map(|diagnostic| &text[diagnostic.span.range()]).collect();
        assert_eq!(places, ["30s", "x", "99999999999999999999"]);
    }
}
