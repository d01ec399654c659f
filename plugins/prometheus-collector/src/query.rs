//! A query: what is asked for, and what becomes of its answer.

use serde::Deserialize;

/// What the points of a query are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Values that go up and down.
    #[default]
    Gauge,
    /// A count that only rises: its increase is recorded.
    Counter,
    /// Each point is a yes or no.
    Rate,
    /// Each point is a sample.
    Distribution,
}

/// When a query is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// At every step of the time in which load ran.
    #[default]
    Range,
    /// Once, at the end of load.
    Instant,
}

/// What becomes of series that have the same kept labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    Sum,
    Avg,
    Min,
    Max,
}

impl Aggregate {
    /// One value of several; there is at least one.
    pub fn of(self, values: &[f64]) -> f64 {
        let sum: f64 = values.iter().sum();
        match self {
            Self::Sum => sum,
            Self::Avg => sum / values.len() as f64,
            Self::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// A query as it is written in the suite, or in a ready set.
#[derive(Clone, Debug, Deserialize)]
pub struct Query {
    /// The metric that it becomes.
    #[serde(skip)]
    pub name: String,
    /// PromQL with its variables.
    pub expr: String,
    #[serde(default, rename = "type")]
    pub when: Type,
    #[serde(default)]
    pub kind: Kind,
    /// The labels that are kept.
    #[serde(default)]
    pub labels: Vec<String>,
    /// None refuses series that differ only in other labels.
    pub aggregate: Option<Aggregate>,
}

/// What stands for the variables of an expression.
#[derive(Clone, Debug)]
pub struct Variables {
    pub namespace: String,
    pub rate: String,
    pub step_ms: i64,
}

impl Variables {
    /// An expression with its variables replaced; `window_ms` is the time in which load ran.
    pub fn fill(&self, expr: &str, window_ms: i64) -> String {
        expr.replace("$namespace", &self.namespace)
            .replace("$rate", &self.rate)
            .replace("$step", &format!("{}ms", self.step_ms))
            .replace("$window", &format!("{}ms", window_ms.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let variables = Variables { namespace: "a|b".into(), rate: "1m".into(), step_ms: 5000 };
        let text =
            variables.fill("rate(x{namespace=~\"$namespace\"}[$rate]) + max_over_time(y[$window:$step])", 61_500);
        assert_eq!(text, "rate(x{namespace=~\"a|b\"}[1m]) + max_over_time(y[61500ms:5000ms])");
    }

    #[test]
    fn several_values_become_one() {
        let all = [Aggregate::Sum, Aggregate::Avg, Aggregate::Min, Aggregate::Max].map(|it| it.of(&[1.0, 5.0, 3.0]));
        assert_eq!(all, [9.0, 3.0, 1.0, 5.0]);
    }
}
