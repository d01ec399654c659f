//! A histogram of one distribution: HDR buckets with three significant digits, and the exact sum, minimum and maximum.
//!
//! Values are kept as whole numbers: seconds as nanoseconds, bytes as they are, pure numbers and ratios in thousandths.
//! The buckets alone would do, but they answer 42.016 where the only value was 42; with the exact ends and sum, small
//! collections read as people expect. All parts add up as integers, so merging is exact and in any order.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use hdrhistogram::{
    Histogram as Hdr,
    serialization::{Deserializer, Serializer as _, V2Serializer},
};
use serde::{Deserialize, Serialize};

use crate::Unit;

/// Values of one distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    unit: Unit,
    buckets: Hdr<u64>,
    sum: u64,
    min: u64,
    max: u64,
}

/// The figures of a distribution, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// How many values.
    pub count: u64,
    /// The smallest value, exact.
    pub min: f64,
    /// The mean, exact.
    pub mean: f64,
    /// The standard deviation, from the buckets.
    pub stddev: f64,
    /// The median (50th percentile).
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
    /// The largest value, exact.
    pub max: f64,
}

impl Unit {
    /// How many whole numbers make one of the unit.
    pub(crate) const fn scale(self) -> f64 {
        match self {
            Self::Seconds => 1e9,
            Self::Bytes => 1.0,
            Self::None | Self::Ratio => 1e3,
        }
    }

    /// The largest whole number that is kept; larger ones count as this one. A day, or 2^50.
    const fn highest(self) -> u64 {
        match self {
            Self::Seconds => 24 * 3600 * 1_000_000_000,
            _ => 1 << 50,
        }
    }

    /// The smallest difference that the buckets keep. Below a microsecond clocks and schedulers are noise, and every
    /// halving costs 8 KiB per series and second.
    const fn lowest(self) -> u64 {
        match self {
            Self::Seconds => 1_000,
            _ => 1,
        }
    }
}

impl Histogram {
    /// An empty histogram of values in this unit.
    #[expect(clippy::expect_used, reason = "the bounds and the precision are constants, a test makes every unit's")]
    pub fn new(unit: Unit) -> Self {
        let mut buckets = Hdr::new_with_bounds(unit.lowest(), unit.lowest() * 2, 3).expect("bounds that HDR accepts");
        buckets.auto(true);
        Self { unit, buckets, sum: 0, min: u64::MAX, max: 0 }
    }

    /// The unit of the values.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Adds a value that is already a whole number in the histogram's scale (nanoseconds for seconds).
    pub fn record_raw(&mut self, raw: u64) {
        let raw = raw.min(self.unit.highest());
        // Grows on demand (`saturating_record` would not); below `highest` there is always room.
        let recorded = self.buckets.record(raw);
        debug_assert!(recorded.is_ok(), "a growing histogram takes any value");
        self.sum = self.sum.saturating_add(raw);
        self.min = self.min.min(raw);
        self.max = self.max.max(raw);
    }

    /// Adds a value in the histogram's unit; false if it is negative or not a number, and then it is not added.
    pub fn record(&mut self, value: f64) -> bool {
        if !value.is_finite() || value < 0.0 {
            return false;
        }
        // `as` saturates, and `record_raw` caps.
        self.record_raw((value * self.unit.scale()).round() as u64);
        true
    }

    /// Adds all values of another histogram. Exact, and in any order.
    pub fn merge(&mut self, other: &Self) {
        // Both grow on demand and never beyond `highest`, so there is always room.
        let added = self.buckets.add(&other.buckets);
        debug_assert!(added.is_ok(), "a growing histogram takes any other");
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.buckets.len()
    }

    /// The sum of all values, in the unit.
    pub fn sum(&self) -> f64 {
        self.sum as f64 / self.unit.scale()
    }

    /// The mean in the unit; 0 without values.
    pub fn mean(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.sum() / self.count() as f64 }
    }

    /// The smallest value in the unit; 0 without values.
    pub fn min(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.min as f64 / self.unit.scale() }
    }

    /// The largest value in the unit; 0 without values.
    pub fn max(&self) -> f64 {
        self.max as f64 / self.unit.scale()
    }

    /// The value, in the unit, that `percent` of the values do not exceed (within the three digits); 0 without values.
    pub fn percentile(&self, percent: f64) -> f64 {
        if self.count() == 0 {
            return 0.0;
        }
        let raw = self.buckets.value_at_quantile(percent / 100.0);
        // HDR names a bucket by its upper edge; for the lowest one, when there are zeros, zero is the better name.
        let raw = if self.min == 0 && self.buckets.equivalent(raw, 0) { 0 } else { raw };
        raw.clamp(self.min, self.max) as f64 / self.unit.scale()
    }

    /// The share of values above `limit` (in the unit); values in the limit's own bucket do not count as above.
    pub fn share_above(&self, limit: f64) -> f64 {
        self.above((limit * self.unit.scale()).max(0.0) as u64)
    }

    /// The share of values of a `Seconds` histogram that are longer than `limit`.
    pub fn share_longer(&self, limit: Duration) -> f64 {
        self.above(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
    }

    fn above(&self, raw: u64) -> f64 {
        if self.count() == 0 || raw >= self.max {
            return 0.0;
        }
        let from = self.buckets.next_non_equivalent(raw);
        self.buckets.count_between(from, self.max.max(from)) as f64 / self.count() as f64
    }

    /// All figures at once.
    pub fn figures(&self) -> Figures {
        Figures {
            count: self.count(),
            min: self.min(),
            mean: self.mean(),
            stddev: if self.count() == 0 { 0.0 } else { self.buckets.stdev() / self.unit.scale() },
            p50: self.percentile(50.0),
            p90: self.percentile(90.0),
            p95: self.percentile(95.0),
            p99: self.percentile(99.0),
            p999: self.percentile(99.9),
            max: self.max(),
        }
    }

    /// How many values lie in each gap between ascending bounds, which belong to the gap below them; the last number is of those
    /// beyond all. Values that share an HDR bucket with a bound count as this bound.
    pub fn counts_between(&self, bounds: &[f64]) -> Vec<u64> {
        let raw: Vec<u64> = bounds.iter().map(|bound| (bound * self.unit.scale()).round() as u64).collect();
        let mut counts = vec![0; bounds.len() + 1];
        for recorded in self.buckets.iter_recorded() {
            let value = self.buckets.lowest_equivalent(recorded.value_iterated_to());
            if let Some(count) = counts.get_mut(raw.partition_point(|bound| *bound < value)) {
                *count += recorded.count_since_last_iteration();
            }
        }
        counts
    }

    /// The HDR buckets, for writers of HDR formats. Values are in the scale that the module describes.
    pub fn buckets(&self) -> &Hdr<u64> {
        &self.buckets
    }
}

/// The text form of a [`Histogram`]: the buckets as base64 of the HDR V2 format, and the exact figures. A second's
/// counts are small and take a byte each, so compression would save little and cost 200 µs per series and second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistogramRecord {
    /// The unit of the values.
    unit: Unit,
    /// The sum, as a whole number in the unit's scale.
    sum: u64,
    /// The smallest value, likewise.
    min: u64,
    /// The largest value, likewise.
    max: u64,
    /// The buckets in the compressed V2 format of HdrHistogram, base64.
    hdr: String,
}

impl HistogramRecord {
    /// The text form of a histogram; none if it can't be encoded, which does not happen in memory.
    pub fn of(histogram: &Histogram) -> Option<Self> {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&histogram.buckets, &mut bytes).ok()?;
        let Histogram { unit, sum, min, max, .. } = *histogram;
        Some(Self { unit, sum, min, max, hdr: STANDARD_NO_PAD.encode(bytes) })
    }

    /// The histogram again; none if the text was damaged.
    pub fn restore(&self) -> Option<Histogram> {
        let bytes = STANDARD_NO_PAD.decode(&self.hdr).ok()?;
        let mut buckets: Hdr<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).ok()?;
        buckets.auto(true);
        Some(Histogram { unit: self.unit, buckets, sum: self.sum, min: self.min, max: self.max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_keep_three_digits_and_the_ends_are_exact() {
        let mut histogram = Histogram::new(Unit::Seconds);
        for ms in 1..=10_000_u64 {
            histogram.record_raw(ms * 1_000_000);
        }
        let figures = histogram.figures();
        for (seen, want) in [(figures.p50, 5.0), (figures.p95, 9.5), (figures.p99, 9.9), (figures.p999, 9.99)] {
            assert!((seen - want).abs() / want < 0.001, "{seen} is not {want}");
        }
        assert_eq!((figures.count, figures.min, figures.max), (10_000, 0.001, 10.0));
        assert!((figures.mean - 5.0005).abs() < 1e-9);
        assert!((figures.stddev - 2.8867).abs() < 0.01, "{}", figures.stddev);
    }

    #[test]
    fn a_single_pure_number_is_read_back_as_it_is() {
        let mut histogram = Histogram::new(Unit::None);
        assert!(histogram.record(42.0));
        let figures = histogram.figures();
        assert_eq!((figures.min, figures.mean, figures.p50, figures.p999, figures.max), (42.0, 42.0, 42.0, 42.0, 42.0));
    }

    #[test]
    fn what_is_no_amount_is_refused_and_what_is_too_large_is_capped() {
        let mut histogram = Histogram::new(Unit::Seconds);
        for unit in [Unit::None, Unit::Bytes, Unit::Ratio] {
            assert_eq!(Histogram::new(unit).figures().max, 0.0);
        }
        for value in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(!histogram.record(value));
        }
        assert_eq!(histogram.count(), 0);
        assert!(histogram.record(1e300));
        assert_eq!(histogram.max(), 86_400.0);
    }

    #[test]
    fn values_are_counted_between_bounds() {
        let mut histogram = Histogram::new(Unit::Seconds);
        for ms in [1.0, 5.0, 5.001, 5.1, 10.0, 99.0, 100.0, 250.0] {
            histogram.record(ms / 1e3);
        }
        assert_eq!(histogram.counts_between(&[0.005, 0.01, 0.1]), [3, 2, 2, 1]);
        assert_eq!(histogram.counts_between(&[]), [8]);
    }

    #[test]
    fn merging_histograms_of_different_reach_loses_nothing() {
        let (mut small, mut large) = (Histogram::new(Unit::Seconds), Histogram::new(Unit::Seconds));
        small.record(0.001);
        large.record(3600.0);
        let mut one = small.clone();
        one.merge(&large);
        let mut other = large.clone();
        other.merge(&small);
        assert_eq!(one, other);
        assert_eq!((one.count(), one.min(), one.max()), (2, 0.001, 3600.0));
    }

    #[test]
    fn the_share_above_a_limit_leaves_the_limit_itself_out() {
        let mut histogram = Histogram::new(Unit::Ratio);
        for percent in 0..100 {
            histogram.record(f64::from(percent) / 100.0);
        }
        assert_eq!(histogram.share_above(0.89), 0.1);
        assert_eq!(histogram.share_above(2.0), 0.0);
        assert_eq!(Histogram::new(Unit::Seconds).share_longer(Duration::from_millis(1)), 0.0);
    }
}
