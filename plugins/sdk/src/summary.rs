//! What reporters read of `summary.json`. Every field may be missing, and there may be more: the host says which format it is
//! (`kperf-host schema summary`), not this reader. Times are in seconds, sizes in bytes, shares between 0 and 1.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Failure;

/// The result of a run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Which run it is.
    pub run: Run,
    /// Whether it was stopped or killed before it was done.
    pub interrupted: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Every threshold.
    pub thresholds: Vec<Threshold>,
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
    /// Metrics of plugins that belong to no scenario.
    pub metrics: Vec<Metric>,
    /// What went wrong on the way.
    pub incidents: Vec<Incident>,
    /// The run before.
    pub previous: Option<Previous>,
}

impl Summary {
    /// Reads the text that [`crate::Reporter::report`] is given.
    ///
    /// # Errors
    /// A failure of the kind `summary` when it is no summary.
    pub fn read(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text)
            .map_err(|error| Failure::new("summary", format!("the summary is not what was expected: {error}")))
    }
}

/// A run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Its identifier.
    pub id: String,
    /// The suite's name.
    pub suite: String,
    /// When it began (RFC 3339, UTC).
    pub start: String,
    /// When it ended (RFC 3339, UTC).
    pub end: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// `pass`, `fail` or `inconclusive`.
    pub outcome: String,
    /// What `kperf-host` exits with.
    pub exit_code: u8,
    /// What it rests on.
    pub reasons: Vec<Reason>,
}

/// Something that the verdict rests on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// A short word.
    pub kind: String,
    /// In a sentence.
    pub text: String,
}

/// How a threshold ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Threshold {
    /// The scenario it belongs to; none for one of the whole suite.
    pub scenario: Option<String>,
    /// As it stands in the suite.
    pub text: String,
    /// `pass`, `breach` or `no-samples`.
    pub outcome: String,
    /// The value seen, in `unit`.
    pub value: Option<f64>,
    /// What it is held against, in `unit`.
    pub limit: f64,
    /// `none`, `seconds`, `bytes` or `ratio`.
    pub unit: String,
    /// `critical`, `error`, `warning` or `info`.
    pub severity: String,
}

/// A scenario.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// How load was made.
    pub executor: String,
    /// How long load was made.
    pub elapsed: f64,
    /// What its capacity search found.
    pub capacity: Option<Capacity>,
    /// Its iterations.
    pub iterations: Iterations,
    /// Its requests per operation.
    pub operations: Vec<Operation>,
    /// Its checks.
    pub checks: Vec<Check>,
    /// The plugins' own metrics.
    pub metrics: Vec<Metric>,
}

/// What a capacity search found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Capacity {
    /// In a sentence.
    pub answer: String,
}

/// The iterations of a scenario.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Iterations {
    /// How many ended.
    pub count: u64,
    /// How many ended per second.
    pub rate: f64,
    /// How many failed.
    pub failed: u64,
    /// How many were due and could not start.
    pub dropped: u64,
}

/// The requests of an operation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// The operation.
    pub operation: String,
    /// How many requests.
    pub count: u64,
    /// How many without an expected response.
    pub failures: u64,
    /// Requests per second.
    pub rate: f64,
    /// Service time.
    pub duration: Option<Spread>,
}

/// A check.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// How often it held.
    pub passes: u64,
    /// How often it did not.
    pub fails: u64,
}

/// A series of a plugin's own metric.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Metric {
    /// The metric's name.
    pub name: String,
    /// `none`, `seconds`, `bytes` or `ratio`.
    pub unit: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// A counter's sum, a gauge's last value, a rate's share, a distribution's mean.
    pub value: f64,
    /// A distribution's figures.
    pub spread: Option<Spread>,
}

/// How values are spread.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// Something that went wrong on the way.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Incident {
    /// Where.
    pub source: String,
    /// A short word.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// How often.
    pub count: u64,
}

/// The run before.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Previous {
    /// Its identifier.
    pub id: String,
    /// Its outcome.
    pub outcome: String,
    /// What was seen of its thresholds.
    pub thresholds: Vec<PreviousThreshold>,
    /// How long its requests took.
    pub operations: Vec<PreviousOperation>,
}

/// A threshold in the run before.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PreviousThreshold {
    /// The scenario it belongs to.
    pub scenario: Option<String>,
    /// As it stood in the suite.
    pub text: String,
    /// The value seen.
    pub value: f64,
}

/// An operation in the run before.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PreviousOperation {
    /// The scenario.
    pub scenario: String,
    /// The operation.
    pub operation: String,
    /// The 95th percentile of its service time.
    pub p95: f64,
}

impl Previous {
    /// What was seen of a threshold.
    pub fn threshold(&self, threshold: &Threshold) -> Option<f64> {
        let same = |it: &&PreviousThreshold| it.scenario == threshold.scenario && it.text == threshold.text;
        self.thresholds.iter().find(same).map(|it| it.value)
    }

    /// The 95th percentile of an operation's service time.
    pub fn operation(&self, scenario: &str, operation: &str) -> Option<f64> {
        let same = |it: &&PreviousOperation| it.scenario == scenario && it.operation == operation;
        self.operations.iter().find(same).map(|it| it.p95)
    }
}
