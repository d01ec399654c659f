//! The mode's parameter table, as it is written. `pipeline_run.schema.json` says the same to the host.

use std::time::Duration;

use kperf_plugin_sdk::duration;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    pub pipeline: String,
    pub experiment: Option<String>,
    #[serde(default)]
    pub parameters: Map<String, Value>,
    #[serde(default = "kperf")]
    pub run_name_prefix: String,
    #[serde(default = "yes")]
    pub wait: bool,
    #[serde(default = "five_seconds", deserialize_with = "duration::deserialize")]
    pub poll_interval: Duration,
    #[serde(default = "half_an_hour", deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
    pub namespace: Option<String>,
    #[serde(default = "yes")]
    pub delete: bool,
}

fn kperf() -> String {
    "kperf".into()
}

fn yes() -> bool {
    true
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn half_an_hour() -> Duration {
    Duration::from_secs(1800)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_same_defaults() {
        let schema: Value = serde_json::from_str(include_str!("pipeline_run.schema.json")).unwrap();
        let mut written = Map::new();
        for (key, property) in schema["properties"].as_object().unwrap() {
            if let Some(default) = property.get("default") {
                written.insert(key.clone(), default.clone());
            }
        }
        written.insert("pipeline".into(), "p.yaml".into());
        let from_schema: Params = serde_json::from_value(written.into()).unwrap();
        let from_type: Params = serde_json::from_str(r#"{"pipeline":"p.yaml"}"#).unwrap();
        assert_eq!(from_schema.run_name_prefix, from_type.run_name_prefix);
        assert_eq!(from_schema.wait, from_type.wait);
        assert_eq!(from_schema.poll_interval, from_type.poll_interval);
        assert_eq!(from_schema.timeout, from_type.timeout);
        assert_eq!(from_schema.delete, from_type.delete);
    }
}
