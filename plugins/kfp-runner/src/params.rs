//! The parameters that several modes share, as they are written. `schema/` says the same to the host.

use std::time::Duration;

use kperf_plugin_sdk::{Scenario, duration};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{spec::Resources, tenant::TenantParams};

/// Of every mode.
#[derive(Clone, Debug, Deserialize)]
pub struct Common {
    #[serde(flatten)]
    pub tenants: TenantParams,
    #[serde(default = "kperf")]
    pub run_name_prefix: String,
    /// How long a run may take.
    #[serde(default = "half_an_hour", deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
    /// The longest time between two looks at a run.
    #[serde(default = "five_seconds", deserialize_with = "duration::deserialize")]
    pub poll_interval: Duration,
}

/// Of modes that run a pipeline.
#[derive(Clone, Debug, Deserialize)]
pub struct PipelineParams {
    pub pipeline: String,
    #[serde(default)]
    pub parameters: Map<String, Value>,
    #[serde(default)]
    pub resources: Resources,
    /// Whether tasks may be answered from the cache.
    #[serde(default)]
    pub cache: bool,
}

impl Common {
    /// What the names of everything that this scenario creates begin with: no other scenario's and no other run's do.
    pub fn marker(&self, scenario: &Scenario) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = scenario.name.chars().map(plain).take(40).collect();
        // Names that differ only in what was replaced or cut off stay apart.
        let sum =
            scenario.name.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        format!("{}-{}-{name}-{sum:08x}", self.run_name_prefix, scenario.run)
    }
}

fn kperf() -> String {
    "kperf".into()
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

    fn named(name: &str) -> String {
        let scenario = Scenario {
            name: name.into(),
            mode: String::new(),
            parameters: "{}".into(),
            target: String::new(),
            run: "r1".into(),
            users: 1,
        };
        scenario.params::<Common>().unwrap().marker(&scenario)
    }

    #[test]
    fn markers_are_plain_and_differ() {
        let markers = [named("runs [n=1]"), named("runs [n-1]"), named("runs"), named(&"x".repeat(200))];
        for (index, marker) in markers.iter().enumerate() {
            assert!(marker.len() <= 100 && marker.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{marker}");
            assert!(!markers[..index].contains(marker), "{marker}");
        }
    }
}
