//! The cells of a matrix.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An axis of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AxisInfo {
    /// The name that the suite gives it: `tenants`.
    pub name: String,
    /// Its values in the order of the suite.
    pub values: Vec<Value>,
}

/// A cell of a matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellInfo {
    /// Its number, from 1.
    pub number: u32,
    /// Which round through the matrix it belongs to, from 1.
    pub repeat: u32,
    /// Its value on each axis, in the order of the suite.
    pub values: Map<String, Value>,
    /// The name of its folder below `cells/`.
    pub folder: String,
}

impl CellInfo {
    /// The combination for people: `tenants=10,users=5`, with the round if there are several.
    pub fn label(&self, rounds: u32) -> String {
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let values = self.values.iter().map(|(axis, value)| format!("{axis}={}", plain(value)));
        let round = (rounds > 1 || self.values.is_empty()).then(|| format!("repeat={}", self.repeat));
        values.chain(round).collect::<Vec<_>>().join(",")
    }
}

/// How a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CellState {
    /// It has not begun.
    NotRun,
    /// It has begun; if nobody works on the matrix any more, it was cut off.
    Started,
    /// It was measured to its end, and has a verdict.
    Finished,
    /// It ended before load.
    Failed,
    /// Somebody stopped it.
    Interrupted,
}
