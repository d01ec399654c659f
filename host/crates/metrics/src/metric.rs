//! What a metric is: its name, how its values combine, and their unit.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// How the values of a metric combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// A sum of non-negative increments.
    Counter,
    /// The last value, with the smallest and the largest.
    Gauge,
    /// The share of samples that were true.
    Rate,
    /// All values, as a histogram with three significant digits.
    Distribution,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Rate => "rate",
            Self::Distribution => "distribution",
        })
    }
}

/// The unit of a metric's values, as it is recorded and reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A pure number.
    #[default]
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share between 0 and 1.
    Ratio,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
        })
    }
}

/// The definition of a metric. A name has one definition within a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricDef {
    /// The name: `http_req_duration`.
    pub name: Arc<str>,
    /// How its values combine.
    pub kind: MetricKind,
    /// The unit of its values.
    pub unit: Unit,
    /// One sentence for people.
    #[serde(default)]
    pub description: Arc<str>,
}

impl MetricDef {
    /// A definition from its parts.
    pub fn new(name: &str, kind: MetricKind, unit: Unit, description: &str) -> Self {
        Self { name: name.into(), kind, unit, description: description.into() }
    }
}
