//! What a native collector says of itself, checked.

use kperf_metrics::MetricDef;
use serde::Deserialize;
use serde_json::Value;

/// What a collector is and offers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Description {
    /// Its name, `[a-z][a-z0-9-]*`.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// One sentence.
    #[serde(default)]
    pub summary: String,
    /// At least one; names differ.
    pub modes: Vec<Mode>,
    /// Every metric that it may record; names differ.
    #[serde(default)]
    pub metrics: Vec<MetricDef>,
}

/// Something that a collector can be asked to do.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Mode {
    /// The name in the suite.
    pub name: String,
    /// One sentence.
    #[serde(default)]
    pub description: String,
    /// The JSON Schema of the parameters: always an object.
    #[serde(rename = "parameters")]
    pub schema: Value,
}

/// What is wrong with a description. It is the collector's author who has to act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the collector's description is wrong: {0}")]
pub struct DescriptionError(pub(crate) String);

/// The longest name of a metric in bytes.
const LONGEST_METRIC: usize = 64;

impl Description {
    /// Reads and checks a description.
    pub(crate) fn read(json: &str) -> Result<Self, DescriptionError> {
        let read: Self = serde_json::from_str(json).map_err(|error| DescriptionError(error.to_string()))?;
        read.check()?;
        Ok(read)
    }

    /// The mode with this name.
    #[must_use]
    pub fn mode(&self, name: &str) -> Option<&Mode> {
        self.modes.iter().find(|mode| mode.name == name)
    }

    fn check(&self) -> Result<(), DescriptionError> {
        let wrong = |message: String| Err(DescriptionError(message));
        let named = self.name.starts_with(|c: char| c.is_ascii_lowercase())
            && self.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !named {
            return wrong(format!("the name `{}` does not match [a-z][a-z0-9-]*", self.name));
        }
        if self.modes.is_empty() {
            return wrong("it offers no mode".to_owned());
        }
        for (at, mode) in self.modes.iter().enumerate() {
            if mode.name.is_empty() || self.modes.iter().take(at).any(|known| known.name == mode.name) {
                return wrong(format!("the mode `{}` has no name or is there twice", mode.name));
            }
            if !mode.schema.is_object() {
                return wrong(format!("the parameters of mode `{}` are no JSON Schema of an object", mode.name));
            }
        }
        for (at, metric) in self.metrics.iter().enumerate() {
            let name = &*metric.name;
            if !is_key(name) || name.len() > LONGEST_METRIC {
                return wrong(format!(
                    "the metric name `{name}` does not match [a-z_][a-z0-9_]* with at most {LONGEST_METRIC} characters"
                ));
            }
            if self.metrics.iter().take(at).any(|known| *known.name == *name) {
                return wrong(format!("the metric `{name}` is declared twice"));
            }
        }
        Ok(())
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| byte.is_ascii_lowercase() || byte == b'_' || (at > 0 && byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mistake_is_named() {
        let good = json!({
            "name": "fans", "version": "1", "modes": [{ "name": "m", "parameters": {} }],
            "metrics": [{ "name": "fan_speed", "kind": "gauge", "unit": "ratio" }]
        });
        let read = Description::read(&good.to_string()).unwrap();
        assert_eq!((read.mode("m").is_some(), read.mode("n").is_some()), (true, false));
        let wrong = |pointer: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            Description::read(&changed.to_string()).unwrap_err().to_string()
        };
        assert!(wrong("/name", json!("Fans")).contains("`Fans`"));
        assert!(wrong("/modes", json!([])).contains("no mode"));
        assert!(wrong("/modes/0/parameters", json!("x")).contains("no JSON Schema"));
        assert!(wrong("/metrics/0/name", json!("9")).contains("`9`"));
        assert!(wrong("/metrics/0/kind", json!("guage")).contains("guage"));
        assert!(wrong("/metrics/0/unit", json!("watts")).contains("watts"));
        assert!(Description::read("{").unwrap_err().to_string().contains("EOF"));
    }
}
