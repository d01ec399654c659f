//! What is known of a run before anything happens: the first line of its journal.

use serde::{Deserialize, Serialize};

use crate::{RunInfo, TableInfo};

/// What is known before load starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// The version of the journal's lines: [`RunHeader::SCHEMA`]; 0 before there was one.
    #[serde(default)]
    pub schema: u32,
    /// Which run it is, of what, on what.
    pub run: RunInfo,
    /// The scenarios in the order of the suite.
    pub scenarios: Vec<ScenarioInfo>,
    /// Thresholds of the whole suite, as they stand in it.
    pub thresholds: Vec<String>,
    /// The tables of records; rows name theirs by its place here.
    #[serde(default)]
    pub tables: Vec<TableInfo>,
    /// How much breaches matter, where that is not the usual.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<SeverityInfo>,
}

impl RunHeader {
    /// The version of the lines that are written.
    pub const SCHEMA: u32 = 1;
}

/// How much the breach of a threshold matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityInfo {
    /// The scenario it belongs to; empty for one of the whole suite.
    pub scenario: String,
    /// The threshold as it stands in the suite.
    pub threshold: String,
    /// `critical`, `error`, `warning` or `info`.
    pub severity: String,
}

/// A scenario before it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioInfo {
    /// Its name; its series are tagged `scenario` with it.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's mode.
    pub mode: String,
    /// How load is made, for people: `constant-arrival-rate 200/s for 1m`.
    pub executor: String,
    /// Whether iterations are due by a schedule (open model) or follow each other (closed).
    pub open_model: bool,
    /// Worker threads.
    pub workers: usize,
    /// Where its requests go: a base URL, or `simulated` for the server inside the host; none without a target.
    #[serde(default)]
    pub target: Option<String>,
    /// The tag whose values the summary puts together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<String>,
    /// Its thresholds, as they stand in the suite.
    pub thresholds: Vec<String>,
    /// Of a capacity search: what must hold for a step to hold, as it stands in the suite. None for other loads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<Vec<String>>,
}
