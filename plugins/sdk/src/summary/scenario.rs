//! A scenario: its iterations, checks and metrics, and how the generator did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Capacity, Operation, Spread, TagSpread};

/// A scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scenario {
    /// As the suite calls it; of a matrix as a whole, with the cell: `browse [tenants=10,users=5]`.
    pub name: String,
    /// The number of its cell, in the summary of a matrix as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<u32>,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's mode.
    pub mode: String,
    /// How load was made, for people.
    pub executor: String,
    /// Whether iterations were due by a schedule (open model) or followed each other (closed).
    pub open_model: bool,
    /// `not-started`, `running` or `finished`.
    pub state: String,
    /// When load began (RFC 3339, UTC).
    pub start: Option<String>,
    /// When load ended (RFC 3339, UTC).
    pub end: Option<String>,
    /// How long load was made, in seconds: what rates are divided by.
    pub elapsed: f64,
    /// What its capacity search found; none for other loads.
    pub capacity: Option<Capacity>,
    /// How many iterations there were, and how they ended.
    pub iterations: Iterations,
    /// An iteration from its real start to its end, in seconds.
    pub iteration_duration: Option<Spread>,
    /// An iteration from the instant it was due to its end, in seconds (open model).
    pub iteration_response_time: Option<Spread>,
    /// Requests per operation, by name.
    pub operations: Vec<Operation>,
    /// How the values of the scenario's `spread` tag differ over all its requests; none if no request carries the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<TagSpread>,
    /// Checks, by name.
    pub checks: Vec<Check>,
    /// The plugins' own metrics.
    pub metrics: Vec<Metric>,
    /// Bytes sent.
    pub data_sent: f64,
    /// Bytes received.
    pub data_received: f64,
    /// How the generator itself did.
    pub generator: Generator,
}

/// The iterations of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Iterations {
    /// How many ended, failed ones included.
    pub count: u64,
    /// How many ended per second.
    pub rate: f64,
    /// How many failed.
    pub failed: u64,
    /// Failures per kind.
    pub failures: Vec<FailureKind>,
    /// How many were due and could not start (open model).
    pub dropped: u64,
    /// How many were cut off at the end.
    pub interrupted: u64,
}

/// Failed iterations of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailureKind {
    /// The kind of the plugin's [`crate::Failure`], or `trap`, `timeout` and the like from the host.
    pub kind: String,
    /// How many iterations failed so.
    pub count: u64,
}

/// A check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Check {
    /// What should hold, as the plugin calls it.
    pub name: String,
    /// How often it held.
    pub passes: u64,
    /// How often it did not.
    pub fails: u64,
}

/// A series of a plugin's own metric; those that differ only in the scenario's `spread` tag are put together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metric {
    /// The metric's name.
    pub name: String,
    /// `counter`, `gauge`, `rate` or `distribution`.
    pub kind: String,
    /// [The unit](crate::Unit::word): `none`, `seconds`, `bytes` or `ratio`.
    pub unit: String,
    /// Values by tag, `scenario` left out.
    pub tags: BTreeMap<String, String>,
    /// A counter's sum, a gauge's last value, a rate's share, a distribution's mean.
    pub value: f64,
    /// The mean of a gauge's values.
    pub mean: Option<f64>,
    /// A gauge's smallest value.
    pub min: Option<f64>,
    /// A gauge's largest value.
    pub max: Option<f64>,
    /// How many samples, where that is known (not for counters).
    pub count: Option<u64>,
    /// A distribution's figures.
    pub spread: Option<Spread>,
    /// Of a distribution that was put together over the values of a tag: how these differ.
    pub tag_spread: Option<TagSpread>,
}

/// How the generator itself did in a scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Generator {
    /// Worker threads.
    pub workers: u64,
    /// The share of each second that a worker thread was busy.
    pub worker_cpu: Option<Spread>,
    /// CPU time spent inside the plugin, in seconds.
    pub guest_cpu: f64,
    /// How late iterations started after they were due, in seconds (open model).
    pub start_delay: Option<Spread>,
    /// The share of iterations that started more than 10 ms late.
    pub late_share: f64,
    /// The share of worker seconds that were at least 95 % busy.
    pub busy_share: f64,
    /// The share of worker seconds of which at least half was spent ready to run without a CPU.
    pub waited_share: f64,
}
