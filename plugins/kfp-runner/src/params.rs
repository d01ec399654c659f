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
    /// The longest time between two polls of a run.
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
        scenario.marker(&self.run_name_prefix)
    }
}

/// For `#[serde(default = "yes")]`.
pub fn yes() -> bool {
    true
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
