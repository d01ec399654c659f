//! Tables that belong to a plugin: kept as JSON, with the place of every value, to be checked against the schema of the plugin.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::{
    keys::Reader,
    text::{Node, Span, Table, Value},
};

/// A plugin's parameters as the suite gives them, before the plugin's own defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    json: serde_json::Map<String, Json>,
    places: BTreeMap<String, Place>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    value: Span,
    key: Span,
    variable: bool,
}

impl Params {
    /// The parameters. Dates and times are texts.
    #[must_use]
    pub fn json(&self) -> &serde_json::Map<String, Json> {
        &self.json
    }

    /// Where the value at a JSON pointer (RFC 6901) stands; the empty pointer is the table itself, or what stands for it if
    /// the suite has none.
    #[must_use]
    pub fn locate(&self, pointer: &str) -> Option<Span> {
        self.places.get(pointer).map(|place| place.value)
    }

    /// Where the key of the value at a JSON pointer stands; in an array, the value itself.
    #[must_use]
    pub fn locate_key(&self, pointer: &str) -> Option<Span> {
        self.places.get(pointer).map(|place| place.key)
    }

    /// Whether the value at a JSON pointer is a text that was one whole `${..}`: where the schema wants a number or a
    /// boolean, the text may be read as one.
    #[must_use]
    pub fn is_variable(&self, pointer: &str) -> bool {
        self.places.get(pointer).is_some_and(|place| place.variable)
    }

    /// No parameters, to be complained about at `span`.
    pub(crate) fn none(span: Span) -> Self {
        let place = Place { value: span, key: span, variable: false };
        Self { json: serde_json::Map::new(), places: BTreeMap::from([(String::new(), place)]) }
    }

    pub(crate) fn read(reader: &mut Reader<'_>, table: &Table, span: Span) -> Self {
        let mut params = Self::none(span);
        params.json = params.table(reader, table, "");
        params
    }

    fn table(&mut self, reader: &mut Reader<'_>, table: &Table, pointer: &str) -> serde_json::Map<String, Json> {
        let mut map = serde_json::Map::new();
        for entry in &table.entries {
            let pointer = format!("{pointer}/{}", entry.key.replace('~', "~0").replace('/', "~1"));
            let value = self.value(reader, &entry.node, entry.key_span, pointer);
            map.insert(entry.key.clone(), value);
        }
        map
    }

    fn value(&mut self, reader: &mut Reader<'_>, node: &Node, key: Span, pointer: String) -> Json {
        let json = match &node.value {
            Value::Text(text) | Value::Datetime(text) => Json::from(text.as_str()),
            Value::Integer(number) => Json::from(*number),
            Value::Bool(yes) => Json::from(*yes),
            Value::Float(number) => serde_json::Number::from_f64(*number).map_or_else(
                || {
                    reader.report(node.span, "a parameter can't be infinite or no number", None);
                    Json::Null
                },
                Json::Number,
            ),
            Value::Unknown => Json::Null,
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.value(reader, item, item.span, format!("{pointer}/{index}")))
                .collect(),
            Value::Table(table) => Json::Object(self.table(reader, table, &pointer)),
        };
        self.places.insert(pointer, Place { value: node.span, key, variable: node.variable });
        json
    }
}
