//! `summary.json`: the result of a run for programs. Its JSON Schema is made from these types, and so are reporters'
//! inputs. Times are in seconds, sizes in bytes, shares between 0 and 1.
//!
//! The version changes when something is removed or changes its meaning; new fields come without a new version.

use std::collections::BTreeMap;

use kperf_metrics::Incident;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CapacitySummary, CellsSummary, RecordsSummary, RunInfo, Spread, TagSpread, ThresholdOutcome};

/// The version that is written.
pub(crate) const VERSION: u32 = 1;

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The version of this format: 1.
    pub version: u32,
    /// Which run it is.
    pub run: RunInfo,
    /// Whether the run was stopped or killed before it was done.
    pub interrupted: bool,
    /// The answer, with what it rests on.
    pub verdict: VerdictSummary,
    /// Every threshold, those of the whole suite last.
    pub thresholds: Vec<ThresholdSummary>,
    /// The scenarios in the order of the suite; of a matrix as a whole, those of all cells that have ended, each with its cell
    /// in its name: `browse [tenants=10,users=5]`.
    pub scenarios: Vec<ScenarioSummary>,
    /// Metrics of plugins that belong to no scenario.
    pub metrics: Vec<MetricSummary>,
    /// What kperf and its machine used while load was made; none where the machine does not tell.
    #[serde(default)]
    pub generator: Option<MachineUse>,
    /// What went wrong on the way, equal ones counted.
    pub incidents: Vec<Incident>,
    /// The files of records that plugins kept.
    #[serde(default)]
    pub records: Vec<RecordsSummary>,
    /// The run before this one: the latest of the same suite whose folder stands beside this one's.
    #[serde(default)]
    pub previous: Option<PreviousSummary>,
    /// The cells of a matrix. Only the summary of the matrix as a whole has them; the one of a cell has `run.cell`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<CellsSummary>,
}

/// The run before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PreviousSummary {
    /// The run's identifier.
    pub id: String,
    /// `pass`, `fail` or `inconclusive`.
    pub outcome: String,
    /// What was seen of its thresholds.
    pub thresholds: Vec<PreviousThreshold>,
    /// How long its requests took.
    pub operations: Vec<PreviousOperation>,
}

/// What was seen of a threshold in the run before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PreviousThreshold {
    /// The scenario it belongs to; none for one of the whole suite.
    pub scenario: Option<String>,
    /// The threshold as it stood in the suite.
    pub text: String,
    /// The value seen.
    pub value: f64,
}

/// How long the requests of an operation took in the run before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PreviousOperation {
    /// The scenario's name in the suite.
    pub scenario: String,
    /// The operation, as the plugin calls it.
    pub operation: String,
    /// The 95th percentile in seconds.
    pub p95: f64,
}

/// The answer: pass, fail or inconclusive, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictSummary {
    /// `pass`, `fail` or `inconclusive`.
    pub outcome: String,
    /// What `kperf-host` exits with: 0 pass, 3 threshold breached, 5 inconclusive, 6 not ready, 130 interrupted.
    pub exit_code: u8,
    /// What it rests on: breaches first, then doubts; empty for a pass.
    pub reasons: Vec<ReasonSummary>,
}

/// Something that the verdict rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReasonSummary {
    /// A short word: `threshold-breached`, `no-samples`, `late-starts`, `busy-workers`, `held-up-workers`,
    /// `short-memory`, `dropped-arrivals`, `no-capacity`, `missing-samples`, `interrupted`, `cell-failed`.
    pub kind: String,
    /// The scenario that it is about, if it is about one.
    pub scenario: Option<String>,
    /// What was seen and what to do about it.
    pub text: String,
}

/// A threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdSummary {
    /// The scenario it belongs to; none for one of the whole suite.
    pub scenario: Option<String>,
    /// The threshold as it stands in the suite.
    pub text: String,
    /// How it ended.
    pub outcome: ThresholdOutcome,
    /// The value seen, in `unit`.
    pub value: Option<f64>,
    /// What it is held against, in `unit`.
    #[serde(default)]
    pub limit: f64,
    /// How much a breach matters: `critical`, `error`, `warning` or `info`.
    #[serde(default)]
    pub severity: String,
    /// The unit of the metric: `none`, `seconds`, `bytes` or `ratio`.
    pub unit: String,
    /// Whether it stopped the run.
    pub aborted: bool,
}

/// How far a scenario came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScenarioState {
    /// It made no load.
    NotStarted,
    /// It was making load when the run ended.
    Running,
    /// It came to its end.
    Finished,
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioSummary {
    /// The scenario's name in the suite.
    pub name: String,
    /// The number of its cell, in the summary of a matrix as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<u32>,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's mode.
    pub mode: String,
    /// How load was made, for people.
    pub executor: String,
    /// Whether iterations were due by a schedule (open model) or followed each other (closed).
    pub open_model: bool,
    /// How far it came.
    pub state: ScenarioState,
    /// When load began (RFC 3339, UTC).
    pub start: Option<String>,
    /// When load ended (RFC 3339, UTC).
    pub end: Option<String>,
    /// How long load was made, in seconds: what rates are divided by.
    pub elapsed: f64,
    /// What its capacity search found; none for other loads.
    pub capacity: Option<CapacitySummary>,
    /// How many iterations ended, failed, and could not start.
    pub iterations: Iterations,
    /// An iteration from its real start to its end, in seconds.
    pub iteration_duration: Option<Spread>,
    /// An iteration from the instant it was due to its end, in seconds (open model).
    pub iteration_response_time: Option<Spread>,
    /// Requests per operation, by name.
    pub operations: Vec<OperationSummary>,
    /// How the values of the scenario's `spread` tag differ over all its requests; none if no request carries the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<TagSpread>,
    /// Checks, by name.
    pub checks: Vec<CheckSummary>,
    /// The plugins' own metrics.
    pub metrics: Vec<MetricSummary>,
    /// Bytes sent.
    pub data_sent: f64,
    /// Bytes received.
    pub data_received: f64,
    /// How the generator itself did.
    pub generator: GeneratorSummary,
}

/// The iterations of a scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureKind {
    /// The kind, as the plugin calls it, or `trap`, `timeout` and the like from the host.
    pub kind: String,
    /// How many iterations failed in this way.
    pub count: u64,
}

/// The requests of one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationSummary {
    /// The operation, as the plugin calls it.
    pub operation: String,
    /// How many requests.
    pub count: u64,
    /// How many of them without an expected response.
    pub failures: u64,
    /// Requests per second.
    pub rate: f64,
    /// Requests per status; the status is 0 where there was no response.
    pub statuses: Vec<StatusCount>,
    /// Service time: sending, waiting and receiving, in seconds.
    pub duration: Option<Spread>,
    /// Service time plus how late the iteration started, in seconds (open model).
    pub response_time: Option<Spread>,
    /// Where the time went.
    pub phases: Phases,
    /// How the values of the scenario's `spread` tag differ; none if no request carries the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<TagSpread>,
}

/// Requests with one status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusCount {
    /// The status, as it is tagged.
    pub status: String,
    /// How many requests.
    pub count: u64,
}

/// Where the time of requests went, in seconds. A phase that never happened is left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Phases {
    /// Waiting for a connection of the pool.
    pub blocked: Option<Spread>,
    /// Name resolution and TCP.
    pub connecting: Option<Spread>,
    /// TLS handshake.
    pub tls: Option<Spread>,
    /// Sending the request.
    pub sending: Option<Spread>,
    /// From the last byte sent to the first byte received.
    pub waiting: Option<Spread>,
    /// From the first byte received to the last.
    pub receiving: Option<Spread>,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckSummary {
    /// The check's name, as the plugin calls it.
    pub name: String,
    /// How often it held.
    pub passes: u64,
    /// How often it did not.
    pub fails: u64,
}

/// A series of a plugin's own metric; those that differ only in the scenario's `spread` tag are put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricSummary {
    /// The metric's name.
    pub name: String,
    /// `counter`, `gauge`, `rate` or `distribution`.
    pub kind: String,
    /// `none`, `seconds`, `bytes` or `ratio`.
    pub unit: String,
    /// The tags, `scenario` left out.
    pub tags: BTreeMap<String, String>,
    /// A counter's sum, a gauge's last value, a rate's share, a distribution's mean.
    pub value: f64,
    /// The mean of a gauge's values.
    #[serde(default)]
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
    #[serde(default)]
    pub tag_spread: Option<TagSpread>,
}

/// How the generator itself did in a scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorSummary {
    /// Worker threads.
    pub workers: usize,
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
    #[serde(default)]
    pub waited_share: f64,
}

/// What kperf and its machine used while load was made, from one look a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineUse {
    /// Cores of the machine.
    pub cores: usize,
    /// Cores that kperf itself used, on average.
    pub cpu_mean: f64,
    /// And in its busiest second.
    pub cpu_max: f64,
    /// The share of the machine's CPU that was used by whomever, on average.
    pub machine_cpu_mean: f64,
    /// And in its busiest second.
    pub machine_cpu_max: f64,
    /// The most memory that kperf itself occupied, in bytes.
    pub memory_max: f64,
    /// The share of seconds in which the machine was short of memory.
    pub memory_short_share: f64,
    /// The most files and sockets that kperf itself had open.
    pub open_files_max: f64,
    /// Bytes that the machine received, loopback left out.
    pub network_received: f64,
    /// Bytes that the machine sent, loopback left out.
    pub network_sent: f64,
}

/// The JSON Schema of `summary.json`.
pub fn summary_schema() -> serde_json::Value {
    schemars::schema_for!(Summary).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_describes_every_field() {
        let schema = summary_schema();
        for field in ["version", "run", "verdict", "thresholds", "scenarios", "incidents"] {
            assert!(schema["properties"][field].is_object(), "{field}");
        }
        let operation = &schema["$defs"]["OperationSummary"]["properties"];
        assert_eq!(operation["failures"]["description"], "How many of them without an expected response.");
    }
}
