//! The cells of a matrix.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A matrix as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cells {
    /// The axes in the order of the suite.
    pub axes: Vec<Axis>,
    /// How often the matrix was to be gone through.
    pub repeat: u32,
    /// All cells in the order in which they run, also those that did not.
    pub cells: Vec<CellResult>,
}

/// An axis of the matrix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Axis {
    /// The parameter that the suite varies.
    pub name: String,
    /// The values in the order of the suite.
    pub values: Vec<Value>,
}

/// Which cell it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cell {
    /// The cell's number, from 1.
    pub number: u32,
    /// Which repeat of the matrix it is in, from 1.
    pub repeat: u32,
    /// The cell's value on each axis.
    pub values: Map<String, Value>,
    /// The name of its folder below `cells/`.
    pub folder: String,
}

/// A cell and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CellResult {
    /// Which cell it is.
    #[serde(flatten)]
    pub cell: Cell,
    /// `not-run`, `started`, `finished`, `failed` or `interrupted`.
    pub state: String,
    /// `pass`, `fail` or `inconclusive`; none for a cell that has no verdict.
    pub outcome: Option<String>,
    /// The exit code that the cell alone would have had.
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ComponentUse {
    /// The metrics' tag `component`.
    pub component: String,
    /// Processor cores.
    pub cpu: Option<Usage>,
    /// Bytes of memory.
    pub memory: Option<Usage>,
}

/// A usage over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The mean over the cell's time.
    pub mean: f64,
    /// The largest value.
    pub max: f64,
}
