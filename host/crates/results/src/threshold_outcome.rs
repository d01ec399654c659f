//! How a threshold ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a threshold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdOutcome {
    /// It holds.
    Pass,
    /// It does not hold.
    Breach,
    /// There was nothing to judge.
    NoSamples,
}
