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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A pure number.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share between 0 and 1.
    Ratio,
}

impl Unit {
    /// A value of this unit for people: `12.3 ms`, `1.50 MiB`, `0.25 %`, `42`.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::None => {
                if value == value.trunc() && value.abs() < 1e15 {
                    format!("{value}")
                } else {
                    format!("{value:.3}")
                }
            }
            Self::Ratio => format!("{:.2} %", value * 100.0),
            Self::Seconds => match value.abs() {
                0.0 => "0 s".to_owned(),
                v if v < 1e-3 => format!("{:.0} µs", value * 1e6),
                v if v < 1.0 => format!("{:.1} ms", value * 1e3),
                v if v < 120.0 => format!("{value:.2} s"),
                _ => format!("{:.1} m", value / 60.0),
            },
            Self::Bytes => match value.abs() {
                v if v < 1024.0 => format!("{value:.0} B"),
                v if v < 1024.0 * 1024.0 => format!("{:.1} KiB", value / 1024.0),
                v if v < 1024.0 * 1024.0 * 1024.0 => format!("{:.2} MiB", value / (1024.0 * 1024.0)),
                _ => format!("{:.2} GiB", value / (1024.0 * 1024.0 * 1024.0)),
            },
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_the_size_that_people_read() {
        let shown = [
            (Unit::Seconds, 0.000_085, "85 µs"),
            (Unit::Seconds, 0.0123, "12.3 ms"),
            (Unit::Seconds, 3.0, "3.00 s"),
            (Unit::Seconds, 600.0, "10.0 m"),
            (Unit::Bytes, 10.0, "10 B"),
            (Unit::Bytes, 1_572_864.0, "1.50 MiB"),
            (Unit::Ratio, 0.0025, "0.25 %"),
            (Unit::None, 42.0, "42"),
            (Unit::None, 0.12345, "0.123"),
        ];
        for (unit, value, text) in shown {
            assert_eq!(unit.show(value), text);
        }
    }
}
