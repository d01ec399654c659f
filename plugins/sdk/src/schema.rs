//! JSON Schemas of modes' parameters: put together from parts that modes share, and what they say for tests.

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

/// The parameters that the host hands over where a suite sets none: each property's default. For tests that hold a plugin's types
/// to its schema.
pub fn defaults(schema: &str) -> Map<String, Value> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.filter_map(|(key, property)| Some((key.clone(), property.get("default")?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_a_schema_whose_defaults_are_known() {
        let schema = of(&[r#"{"a": {"type": "integer", "default": 1}}"#, r#"{"b": {"type": "string"}}"#], &["b"]);
        assert_eq!(Value::from(defaults(&schema)), json!({"a": 1}));
        let read: Value = serde_json::from_str(&schema).unwrap();
        assert_eq!((&read["required"], read["properties"].as_object().unwrap().len()), (&json!(["b"]), 2));
    }
}
