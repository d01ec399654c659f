//! What one series has gathered: since the last hand-over, or over the whole run.

use crate::{Histogram, MetricKind, Unit};

/// The state of a gauge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauge {
    /// The value with the latest `at`.
    pub last: f64,
    /// When `last` was seen, in nanoseconds since the Unix epoch.
    pub at: u64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// How many values.
    pub count: u64,
    /// The sum of all values, for the mean.
    pub sum: f64,
}

impl Gauge {
    /// A gauge that has seen one value.
    pub const fn new(value: f64, at: u64) -> Self {
        Self { last: value, at, min: value, max: value, count: 1, sum: value }
    }

    /// The mean of the values.
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// Sees a further value; of two at the same instant the later call stays.
    pub(crate) fn set(&mut self, value: f64, at: u64) {
        if at >= self.at {
            (self.last, self.at) = (value, at);
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count += 1;
        self.sum += value;
    }

    /// Joins two gauges; of two values at the same instant the larger stays, so that the order does not matter.
    fn merge(&mut self, other: &Self) {
        if (other.at, other.last) > (self.at, self.last) {
            (self.last, self.at) = (other.last, other.at);
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum += other.sum;
    }
}

/// The state of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// How many samples were true.
    pub trues: u64,
    /// How many samples there were.
    pub total: u64,
}

impl Rate {
    /// The share of true samples; 0 without samples.
    pub fn share(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.trues as f64 / self.total as f64 }
    }
}

/// What one series has gathered. Two of them add up to one without loss; sums of fractions (CPU seconds) alone depend
/// on the order in their last digits, as floating point numbers do.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// The sum of the increments.
    Counter(f64),
    /// The values of a gauge.
    Gauge(Gauge),
    /// The samples of a rate.
    Rate(Rate),
    /// The values of a distribution.
    Distribution(Box<Histogram>),
}

impl Delta {
    /// Something of the kind from one value at an instant; none if the value is not possible for that kind.
    pub(crate) fn first(kind: MetricKind, unit: Unit, value: f64, at: u64) -> Option<Self> {
        if !value.is_finite() || (value < 0.0 && kind != MetricKind::Gauge) {
            return None;
        }
        Some(match kind {
            MetricKind::Counter => Self::Counter(value),
            MetricKind::Gauge => Self::Gauge(Gauge::new(value, at)),
            MetricKind::Rate => Self::Rate(Rate { trues: u64::from(value != 0.0), total: 1 }),
            MetricKind::Distribution => {
                let mut histogram = Histogram::new(unit);
                histogram.record(value);
                Self::Distribution(Box::new(histogram))
            }
        })
    }

    /// The kind of metric that this belongs to.
    pub fn kind(&self) -> MetricKind {
        match self {
            Self::Counter(_) => MetricKind::Counter,
            Self::Gauge(_) => MetricKind::Gauge,
            Self::Rate(_) => MetricKind::Rate,
            Self::Distribution(_) => MetricKind::Distribution,
        }
    }

    /// Adds what another one of the same kind has gathered. Series have one kind, so different kinds never meet; if
    /// they do, nothing is added.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Counter(into), Self::Counter(from)) => *into += from,
            (Self::Gauge(into), Self::Gauge(from)) => into.merge(from),
            (Self::Rate(into), Self::Rate(from)) => {
                into.trues += from.trues;
                into.total += from.total;
            }
            (Self::Distribution(into), Self::Distribution(from)) => into.merge(from),
            (into, from) => debug_assert!(false, "a {} can't take in a {}", into.kind(), from.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_value_of_a_gauge_wins_whatever_the_order() {
        let (mut a, mut b) = (Gauge::new(5.0, 10), Gauge::new(3.0, 20));
        let (first, second) = (a, b);
        a.merge(&second);
        b.merge(&first);
        assert_eq!(a, b);
        assert_eq!((a.last, a.min, a.max, a.count, a.mean()), (3.0, 3.0, 5.0, 2, 4.0));
    }

    #[test]
    fn only_gauges_take_negative_values() {
        for kind in [MetricKind::Counter, MetricKind::Rate, MetricKind::Distribution] {
            assert_eq!(Delta::first(kind, Unit::None, -1.0, 0), None);
        }
        assert_eq!(Delta::first(MetricKind::Gauge, Unit::None, -1.0, 7), Some(Delta::Gauge(Gauge::new(-1.0, 7))));
        assert_eq!(Delta::first(MetricKind::Gauge, Unit::None, f64::NAN, 7), None);
    }
}
