//! What is read of `summary.json`. Every field may be missing: the host says which format it is, not this reader.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Summary {
    pub run: Run,
    pub interrupted: bool,
    pub verdict: Verdict,
    pub thresholds: Vec<Threshold>,
    pub scenarios: Vec<Scenario>,
    pub metrics: Vec<Metric>,
    pub incidents: Vec<Incident>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Run {
    pub id: String,
    pub suite: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Verdict {
    pub outcome: String,
    pub reasons: Vec<Reason>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Reason {
    pub text: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Threshold {
    pub scenario: Option<String>,
    pub text: String,
    pub outcome: String,
    pub value: Option<f64>,
    pub unit: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Scenario {
    pub name: String,
    pub executor: String,
    pub elapsed: f64,
    pub capacity: Option<Capacity>,
    pub iterations: Iterations,
    pub operations: Vec<Operation>,
    pub checks: Vec<Check>,
    pub metrics: Vec<Metric>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Capacity {
    pub answer: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Iterations {
    pub count: u64,
    pub rate: f64,
    pub failed: u64,
    pub dropped: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Operation {
    pub operation: String,
    pub count: u64,
    pub failures: u64,
    pub rate: f64,
    pub duration: Option<Spread>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Check {
    pub name: String,
    pub passes: u64,
    pub fails: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Metric {
    pub name: String,
    pub unit: String,
    pub tags: BTreeMap<String, String>,
    pub value: f64,
    pub spread: Option<Spread>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct Spread {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Incident {
    pub source: String,
    pub kind: String,
    pub message: String,
    pub count: u64,
}
