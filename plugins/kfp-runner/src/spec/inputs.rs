//! A run's parameters against what the pipeline takes.

use serde_json::{Map, Value};

use super::Spec;

impl Spec {
    /// What is wrong with the parameters of a run, each with the parameter's name; empty if nothing is.
    pub fn parameter_problems(&self, given: &Map<String, Value>) -> Vec<String> {
        let none = Map::new();
        let declared = self.ir.pointer("/root/inputDefinitions/parameters").and_then(Value::as_object).unwrap_or(&none);
        let mut problems = Vec::new();
        for (name, definition) in declared {
            let Some(value) = given.get(name) else {
                let optional = definition.get("isOptional") == Some(&Value::Bool(true));
                if !optional && definition.get("defaultValue").is_none() {
                    problems.push(format!("`{name}` is missing: it has no default"));
                }
                continue;
            };
            let (wanted, fits) = match definition.get("parameterType").and_then(Value::as_str) {
                Some("NUMBER_INTEGER") => {
                    ("a whole number", value.as_f64().is_some_and(|number| number.fract() == 0.0))
                }
                Some("NUMBER_DOUBLE") => ("a number", value.is_number()),
                Some("STRING") => ("a text", value.is_string()),
                Some("BOOLEAN") => ("true or false", value.is_boolean()),
                Some("LIST") => ("an array", value.is_array()),
                Some("STRUCT") => ("a table", value.is_object()),
                _ => continue,
            };
            if !fits {
                problems.push(format!("`{name}` must be {wanted}, not {value}"));
            }
        }
        for name in given.keys().filter(|name| !declared.contains_key(*name)) {
            let known = declared.keys().map(String::as_str).collect::<Vec<_>>().join("`, `");
            let help = if known.is_empty() { "it takes none".to_owned() } else { format!("it takes `{known}`") };
            problems.push(format!("the pipeline has no parameter `{name}`: {help}"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{SMALL, spec};

    #[test]
    fn parameters_must_fit_the_pipelines_inputs() {
        let spec = spec(SMALL);
        let problems = |given: serde_json::Value| spec.parameter_problems(given.as_object().unwrap()).join("; ");
        assert_eq!(problems(json!({"label": "a"})), "");
        assert_eq!(problems(json!({"label": "a", "items": 3})), "");
        assert_eq!(problems(json!({})), "`label` is missing: it has no default");
        assert_eq!(problems(json!({"label": "a", "items": "3"})), "`items` must be a whole number, not \"3\"");
        assert_eq!(problems(json!({"label": "a", "items": 3.5})), "`items` must be a whole number, not 3.5");
        assert!(problems(json!({"label": "a", "item": 3})).contains("no parameter `item`: it takes `items`, `label`"));
    }
}
