//! A matrix in `summary.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::{AxisInfo, CellInfo, CellState};

/// A run that went through a matrix cell by cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellsSummary {
    /// The axes in the order of the suite.
    pub axes: Vec<AxisInfo>,
    /// How often the matrix was to be gone through.
    pub repeat: u32,
    /// All cells in the order in which they run, also those that did not.
    pub cells: Vec<CellSummary>,
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellSummary {
    /// The cell, with its number and values.
    #[serde(flatten)]
    pub cell: CellInfo,
    /// How it stands.
    pub state: CellState,
    /// `pass`, `fail` or `inconclusive`; none for a cell that has no verdict.
    pub outcome: Option<String>,
    /// What the cell alone would have exited with.
    pub exit_code: Option<u8>,
    /// Why it failed, or what went wrong beside it.
    pub message: Option<String>,
    /// When it began (RFC 3339, UTC).
    pub start: Option<String>,
    /// How long it took, with everything before and after load, in seconds.
    pub took: Option<f64>,
    /// What the parts of the system under test used while it ran, as far as collectors told.
    pub components: Vec<ComponentUse>,
}

/// What a part of the system under test used: the metrics `component_cpu` and `component_memory`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentUse {
    /// Its name: the metrics' tag `component`.
    pub component: String,
    /// Processor cores.
    pub cpu: Option<Usage>,
    /// Bytes of memory.
    pub memory: Option<Usage>,
}

/// A usage over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// The arithmetic mean of the values.
    pub mean: f64,
    /// The largest value.
    pub max: f64,
}
