//! What is read of `summary.json`. Every field may be missing: the host says which format it is, not this reader.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Summary {
    pub run: Run,
    pub verdict: Verdict,
    pub scenarios: Vec<Scenario>,
    pub metrics: Vec<Metric>,
    pub cells: Option<Cells>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Run {
    pub suite: String,
    pub cell: Option<Value>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Verdict {
    pub outcome: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Scenario {
    pub name: String,
    pub cell: Option<u32>,
    pub operations: Vec<Operation>,
    pub metrics: Vec<Metric>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Operation {
    pub operation: String,
    pub count: u64,
    pub failures: u64,
    pub rate: f64,
    pub duration: Option<Spread>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct Spread {
    pub p95: f64,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Metric {
    pub name: String,
    pub tags: BTreeMap<String, String>,
    pub mean: Option<f64>,
    pub max: Option<f64>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Cells {
    pub axes: Vec<Axis>,
    pub cells: Vec<Cell>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Axis {
    pub name: String,
    pub values: Vec<Value>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Cell {
    pub number: u32,
    pub values: Map<String, Value>,
    pub components: Vec<Component>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Component {
    pub component: String,
    pub cpu: Option<Usage>,
    pub memory: Option<Usage>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Usage {
    pub mean: f64,
    pub max: f64,
}
