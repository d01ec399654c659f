//! Templates: JSON in whose texts `{{name}}` stands for a value. The result is JSON whatever the values are.

use serde_json::Value;

use crate::Values;

/// A regular expression for texts in which all that stands in double braces is one of `names`.
pub fn pattern(names: &[&str]) -> String {
    format!(r"^([^{{]|\{{(?!\{{)|\{{\{{({})\}}\}})*$", names.join("|"))
}

/// The template with values in the place of their names.
pub fn fill(template: &Value, values: &Values) -> Value {
    match template {
        Value::String(text) => fill_text(text, values),
        Value::Array(items) => items.iter().map(|item| fill(item, values)).collect(),
        Value::Object(object) => {
            Value::Object(object.iter().map(|(key, value)| (key.clone(), fill(value, values))).collect())
        }
        other => other.clone(),
    }
}

fn fill_text(text: &str, values: &Values) -> Value {
    let value = |name: &str| values.get(name).cloned().unwrap_or_default();
    // A text that is nothing but one name becomes the value itself: a number stays a number.
    if let Some(name) = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}"))
        && !name.contains(['{', '}'])
    {
        return value(name);
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        filled.push_str(before);
        match value(name) {
            Value::Null => {}
            Value::String(text) => filled.push_str(&text),
            other => filled.push_str(&other.to_string()),
        }
        rest = after;
    }
    filled.push_str(rest);
    Value::String(filled)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_become_values() {
        let values =
            Values::from([("suite", json!("a \"b\"\n")), ("value", json!(1.5)), ("reasons", json!(["x", "y"]))]);
        let template = json!({"text": "{{suite}}: {{value}} {none} {{outcome}}|", "n": "{{value}}", "all": ["{{reasons}}", true],
            "open": "{{ value"});
        assert_eq!(
            fill(&template, &values),
            json!({"text": "a \"b\"\n: 1.5 {none} |", "n": 1.5, "all": [["x", "y"], true], "open": "{{ value"})
        );
    }
}
