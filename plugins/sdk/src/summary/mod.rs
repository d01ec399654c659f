//! `summary.json` as reporters read it: every field that the host writes, and the only reader of that file in a plugin.
//!
//! In comes the text that [`crate::Reporter::report`] is given; out come plain data, which can be written as JSON again. Every
//! field may be missing and there may be more, so that a plugin works with an older host and with a newer one. Times are in
//! seconds, sizes in bytes, shares between 0 and 1; `kperf-host schema summary` prints the format's JSON Schema.

mod capacity;
mod cells;
mod requests;
mod run;
mod scenario;

use serde::{Deserialize, Serialize};

use crate::Failure;

pub use capacity::{Capacity, CapacityStep, Criterion, RateCounts};
pub use cells::{Axis, Cell, CellResult, Cells, ComponentUse, Usage};
pub use requests::{Ends, Operation, Phases, Spread, StatusCount, TagSpread, TagValue};
pub use run::{Machine, MachineUse, Plugin, Run};
pub use scenario::{Check, FailureKind, Generator, Iterations, Metric, Scenario};

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// The version of the format; it changes when something is removed or changes its meaning.
    pub version: u32,
    /// Which run it is.
    pub run: Run,
    /// Whether the run was stopped or killed before it was done.
    pub interrupted: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Every threshold, those of the whole suite last.
    pub thresholds: Vec<Threshold>,
    /// The scenarios in the order of the suite; of a matrix as a whole, those of all cells that have ended.
    pub scenarios: Vec<Scenario>,
    /// Metrics of plugins that belong to no scenario.
    pub metrics: Vec<Metric>,
    /// What kperf and its machine used while load was made; none where the machine does not tell.
    pub generator: Option<MachineUse>,
    /// What went wrong on the way, equal ones counted.
    pub incidents: Vec<Incident>,
    /// The files of records that plugins kept.
    pub records: Vec<Records>,
    /// The latest earlier run of the same suite.
    pub previous: Option<Previous>,
    /// The cells of a matrix, in the summary of the matrix as a whole; the one of a cell has `run.cell`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells: Option<Cells>,
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

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// `pass`, `fail` or `inconclusive`.
    pub outcome: String,
    /// The exit code of `kperf-host`: 0 pass, 3 threshold breached, 5 inconclusive, 6 not ready, 130 interrupted.
    pub exit_code: u8,
    /// Breaches first, then doubts; empty for a pass.
    pub reasons: Vec<Reason>,
}

/// A breach or a doubt that the verdict rests on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// A short word: `threshold-breached`, `no-samples`, `late-starts`, `interrupted`.
    pub kind: String,
    /// The scenario that it is about, if it is about one.
    pub scenario: Option<String>,
    /// What was seen and what to do about it, in a sentence.
    pub text: String,
}

/// How a threshold ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// What the value is held against, in `unit`.
    pub limit: f64,
    /// [How much a breach matters](crate::Severity::word): `critical`, `error`, `warning` or `info`.
    pub severity: String,
    /// [The unit](crate::Unit::word) of both: `none`, `seconds`, `bytes` or `ratio`.
    pub unit: String,
    /// Whether it stopped the run.
    pub aborted: bool,
}

/// Something that went wrong and did not end the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Incident {
    /// Where it happened: a scenario, a plugin, `host`.
    pub source: String,
    /// A short word: `trap`, `series-limit`.
    pub kind: String,
    /// What happened and what to do about it.
    pub message: String,
    /// How often.
    pub count: u64,
}

/// The file of a table of records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Records {
    /// The plugin that kept them.
    pub plugin: String,
    /// The table's name.
    pub table: String,
    /// The file's path, relative to the run's folder.
    pub file: String,
    /// How many rows it has.
    pub rows: u64,
    /// Whether its rows are bars of a waterfall.
    pub spans: bool,
}

/// What an earlier run of the same suite has shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Previous {
    /// The earlier run's identifier.
    pub id: String,
    /// The earlier verdict: `pass`, `fail` or `inconclusive`.
    pub outcome: String,
    /// The values seen of its thresholds.
    pub thresholds: Vec<PreviousThreshold>,
    /// How long its requests took.
    pub operations: Vec<PreviousOperation>,
}

/// A threshold in the earlier run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreviousThreshold {
    /// The scenario it belongs to; none for one of the whole suite.
    pub scenario: Option<String>,
    /// As it stood in the suite.
    pub text: String,
    /// The value seen.
    pub value: f64,
}

/// An operation in the earlier run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreviousOperation {
    /// The scenario that sent the requests.
    pub scenario: String,
    /// The operation, as the plugin calls it.
    pub operation: String,
    /// The 95th percentile of its service time.
    pub p95: f64,
}

impl Previous {
    /// The value that was seen of a threshold.
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// A summary with every field that the host writes; a test of the host holds it to the host's types.
    const COMPLETE: &str = include_str!("complete.json");

    #[test]
    fn every_field_is_read_and_written_again() {
        let written = serde_json::to_value(Summary::read(COMPLETE).unwrap()).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(COMPLETE).unwrap());
    }

    #[test]
    fn fields_may_be_missing_and_unknown_ones_are_ignored() {
        let summary = Summary::read(r#"{"run": {"suite": "s", "newer": 1}, "newer": {}}"#).unwrap();
        assert_eq!(summary.run.suite, "s");
        assert_eq!(Summary::read("{}").unwrap(), Summary::default());
        assert_eq!(Summary::read("\"x\"").unwrap_err().kind, "summary");
    }
}
