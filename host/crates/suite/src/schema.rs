//! The JSON Schema of a suite file, for editors.

use serde_json::{Map, Value as Json, json};

use crate::{
    keys::{KeySpec, Kind, Need, TableSpec},
    tables::{ENVIRONMENTS, SUITE, executors},
};

/// The JSON Schema (draft 2020-12) of a suite file. Every value may also be a text with `${NAME}` in it.
#[must_use]
pub fn schema() -> Json {
    let mut schema = table(&SUITE, Extent::Whole);
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".into(), json!("kperf suite"));
    }
    schema
}

/// Whether a table stands for itself or is merged into another one, so that what it requires may be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Overlay,
}

fn table(spec: &TableSpec, extent: Extent) -> Json {
    let properties: Map<String, Json> =
        spec.keys.iter().map(|key| (key.name.to_owned(), property(key, extent))).collect();
    let required = |key: &&KeySpec| extent == Extent::Whole && matches!(key.need, Need::Required);
    let required: Vec<&str> = spec.keys.iter().filter(required).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": spec.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &KeySpec, extent: Extent) -> Json {
    let extent = if key.name == ENVIRONMENTS { Extent::Overlay } else { extent };
    let mut schema = value(key.kind, extent);
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".into(), json!(key.doc));
        if let Need::Default(text) = key.need {
            object.insert("default".into(), default(key.kind, text));
        }
    }
    schema
}

fn default(kind: Kind, text: &str) -> Json {
    match kind {
        Kind::Integer { .. } => text.parse::<i64>().map_or(Json::Null, Json::from),
        Kind::Factor => text.parse::<f64>().map_or(Json::Null, Json::from),
        Kind::Bool => text.parse::<bool>().map_or(Json::Null, Json::from),
        _ => json!(text),
    }
}

/// A text with a variable in it.
const VARIABLE: &str = r"\$\{.+\}";

fn or_variable(schema: &Json) -> Json {
    json!({ "anyOf": [schema, { "type": "string", "pattern": VARIABLE }] })
}

fn pattern(pattern: &str) -> Json {
    json!({ "type": "string", "pattern": format!("^({pattern})$|{VARIABLE}") })
}

fn value(kind: Kind, extent: Extent) -> Json {
    let map = |values: &Json| json!({ "type": "object", "additionalProperties": values });
    let scalar = json!({ "type": ["string", "number", "boolean"] });
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Url => pattern("simulated(-slack|-pagerduty)?|https?://.+"),
        Kind::Integer { min, max } => or_variable(&json!({ "type": "integer", "minimum": min, "maximum": max })),
        Kind::Factor => or_variable(&json!({ "type": "number", "exclusiveMinimum": 0 })),
        Kind::Bool => or_variable(&json!({ "type": "boolean" })),
        Kind::Duration { .. } => pattern(r"0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d))+"),
        Kind::Rate { .. } => pattern(r"[0-9]+(\.[0-9]+)?/[smh]"),
        Kind::Size => pattern(r"[0-9]+ ?([kKMGT]i?)?B"),
        Kind::Share => pattern(r"[0-9]+(\.[0-9]+)?%"),
        Kind::Choice(words) => or_variable(&json!({ "enum": words })),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::TextMap => map(&json!({ "type": "string" })),
        Kind::ScalarMap => map(&scalar),
        Kind::Axes => map(&json!({ "type": "array", "minItems": 1, "items": scalar })),
        Kind::Table(spec) => table(spec, extent),
        Kind::Tables(spec) => map(&table(spec, extent)),
        // Arrays are not merged but replaced.
        Kind::List(spec) => json!({ "type": "array", "minItems": 1, "items": table(spec, Extent::Whole) }),
        Kind::Thresholds(spec) => {
            json!({ "type": "array", "items": { "anyOf": [{ "type": "string" }, table(spec, Extent::Whole)] } })
        }
        Kind::Load(_) => {
            let loads: Vec<Json> = executors().map(|(name, spec)| load(name, spec, extent)).collect();
            json!({ if extent == Extent::Whole { "oneOf" } else { "anyOf" }: loads })
        }
        Kind::Opaque => json!({ "type": "object" }),
    }
}

fn load(executor: &str, spec: &TableSpec, extent: Extent) -> Json {
    let mut schema = table(spec, extent);
    if let Some(property) = schema.pointer_mut("/properties/executor") {
        *property = json!({ "const": executor });
    }
    schema
}
