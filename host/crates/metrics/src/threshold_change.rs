//! A threshold that changes its state while load is made.

use serde::{Deserialize, Serialize};

use crate::{Severity, Unit};

/// What became of a threshold while load was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdState {
    /// It does not hold any more.
    Breached,
    /// It holds again.
    Recovered,
    /// It does not hold, and the suite says to stop then.
    Aborted,
}

/// A threshold that changes its state while load is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdChange {
    /// The scenario it belongs to; empty for one of the whole suite.
    pub scenario: String,
    /// The threshold as it stands in the suite.
    pub threshold: String,
    /// What became of it.
    pub state: ThresholdState,
    /// The value seen, in `unit`.
    pub value: f64,
    /// What it is held against, in `unit`.
    #[serde(default)]
    pub limit: f64,
    /// The unit of both.
    #[serde(default)]
    pub unit: Unit,
    /// How much a breach matters.
    #[serde(default)]
    pub severity: Severity,
    /// When, in nanoseconds since the Unix epoch.
    pub unix_ns: u64,
}
