//! JSON Schemas of modes' parameters, put together from parts that modes share.

use serde_json::{Map, Value, json};

/// A schema with the properties of all parts (each a JSON object of properties), some of which are required. The last part's come
/// first: put there what a mode has of its own. A part that is no JSON counts for nothing: let a test read each.
pub fn of(parts: &[&str], required: &[&str]) -> String {
    let mut properties = Map::new();
    for part in parts.iter().rev() {
        let read: Map<String, Value> = serde_json::from_str(part).unwrap_or_default();
        properties.extend(read);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
    .to_string()
}
