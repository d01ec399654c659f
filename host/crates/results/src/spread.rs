//! How values are spread, and how the values of a tag are: with hundreds of tenants nobody reads a row for each.

use std::collections::BTreeMap;
use std::time::Duration;

use kperf_metrics::{Delta, Figures, Histogram};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How values are spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// How many values.
    pub count: u64,
    /// The smallest value.
    pub min: f64,
    /// The arithmetic mean of the values.
    pub mean: f64,
    /// The standard deviation of the values.
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
    /// The largest value.
    pub max: f64,
}

impl From<Figures> for Spread {
    fn from(figures: Figures) -> Self {
        let Figures { count, min, mean, stddev, p50, p90, p95, p99, p999, max } = figures;
        Self { count, min, mean, stddev, p50, p90, p95, p99, p999, max }
    }
}

/// How many of the slowest are named.
const NAMED: usize = 5;

/// How the values of a tag (tenants, say) spread. The figures of each are in `series.parquet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TagSpread {
    /// The tag's key.
    pub tag: String,
    /// How many values had requests, or samples of a metric.
    pub values: u64,
    /// Over the values: the 95th percentile of the service time of each, in seconds; of a metric in its unit.
    pub p95: Ends,
    /// The slowest values by that percentile, five at most.
    pub slowest: Vec<TagValue>,
    /// Jain's index of the values' mean service times: 1 when all are served alike, down to one in `values` when one waits
    /// for all. The sum's square, divided by the number of values and the sum of the squares (Jain, Chiu and Hawe, *A
    /// Quantitative Measure of Fairness and Discrimination for Resource Allocation in Shared Computer Systems*, DEC-TR-301,
    /// 1984).
    pub fairness_latency: f64,
    /// The same index of the values' requests per second. It also shows how load was spread: of a few busy tenants, and many
    /// idle ones, it is low however fair the server is.
    pub fairness_throughput: f64,
}

/// The ends and the middle of some figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ends {
    /// The smallest value.
    pub min: f64,
    /// The median; of an even number the lower one of the two.
    pub median: f64,
    /// The largest value.
    pub max: f64,
}

/// One value of a tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TagValue {
    /// The value of the tag, the name of a tenant for example.
    pub value: String,
    /// How many requests, or samples.
    pub count: u64,
    /// How many of the requests had no expected response; not known of a metric's samples.
    pub failures: Option<u64>,
    /// Requests, or samples, per second.
    pub rate: f64,
    /// The mean of their service time, in seconds; of a metric in its unit, like the next two.
    pub mean: f64,
    /// The 95th percentile of their service time, in seconds.
    pub p95: f64,
    /// The largest service time, in seconds.
    pub max: f64,
}

/// What is known of requests by the values of a tag.
pub(crate) struct ByTag {
    pub(crate) durations: BTreeMap<String, Delta>,
    /// None if failures are not known.
    pub(crate) failures: Option<BTreeMap<String, Delta>>,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl ByTag {
    /// The distributions of a plugin's own metric.
    pub(crate) fn of_metric(durations: BTreeMap<String, Delta>) -> Self {
        Self { durations, failures: None, counts: BTreeMap::new() }
    }

    /// How they spread; none if nothing carries the tag.
    pub(crate) fn spread(&self, tag: &str, elapsed: Duration) -> Option<TagSpread> {
        let timed = self.durations.iter().filter_map(|(value, delta)| match delta {
            Delta::Distribution(histogram) if histogram.count() > 0 => Some(self.value(value, histogram, elapsed)),
            _ => None,
        });
        let mut values: Vec<TagValue> = timed.collect();
        values.sort_by(|a, b| a.p95.total_cmp(&b.p95));
        let at = |index: usize| values.get(index).map(|it| it.p95);
        Some(TagSpread {
            tag: tag.to_owned(),
            values: values.len() as u64,
            p95: Ends { min: at(0)?, median: at((values.len() - 1) / 2)?, max: at(values.len() - 1)? },
            slowest: values.iter().rev().take(NAMED).cloned().collect(),
            fairness_latency: jain(values.iter().map(|it| it.mean)),
            fairness_throughput: jain(values.iter().map(|it| it.rate)),
        })
    }

    fn value(&self, value: &str, histogram: &Histogram, elapsed: Duration) -> TagValue {
        let figures = histogram.figures();
        let count = self.counts.get(value).copied().unwrap_or(figures.count);
        TagValue {
            value: value.to_owned(),
            count,
            failures: self.failures.as_ref().map(|failures| match failures.get(value) {
                Some(Delta::Rate(rate)) => rate.trues,
                _ => 0,
            }),
            rate: if elapsed.is_zero() { 0.0 } else { count as f64 / elapsed.as_secs_f64() },
            mean: figures.mean,
            p95: figures.p95,
            max: figures.max,
        }
    }
}

/// Jain's index; 1 where there is nothing to share.
fn jain(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let (count, sum) = values.clone().fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    let squares: f64 = values.map(|value| value * value).sum();
    if squares == 0.0 { 1.0 } else { (sum * sum / (count * squares)).min(1.0) }
}

#[cfg(test)]
mod tests {
    use kperf_metrics::{Rate, Unit};

    use super::*;

    #[test]
    fn hundreds_of_tenants_become_a_few_figures() {
        let mut by_tag = ByTag { failures: Some(BTreeMap::new()), ..ByTag::of_metric(BTreeMap::new()) };
        for tenant in 1..=500_u32 {
            let mut histogram = Histogram::new(Unit::Seconds);
            // One tenant waits ten times as long as the others.
            let seconds = if tenant == 77 { 0.1 } else { 0.01 };
            for _ in 0..20 {
                histogram.record(seconds);
            }
            let name = format!("tenant-{tenant}");
            by_tag.durations.insert(name.clone(), Delta::Distribution(Box::new(histogram)));
            by_tag.counts.insert(name, 20);
        }
        let failed = Delta::Rate(Rate { trues: 3, total: 20 });
        by_tag.failures.as_mut().unwrap().insert("tenant-77".to_owned(), failed);
        let spread = by_tag.spread("tenant", Duration::from_secs(10)).unwrap();
        assert_eq!((spread.values, spread.slowest.len()), (500, 5));
        let slowest = &spread.slowest[0];
        assert_eq!(
            (slowest.value.as_str(), slowest.count, slowest.failures, slowest.rate),
            ("tenant-77", 20, Some(3), 2.0)
        );
        assert!((spread.p95.median - 0.01).abs() < 1e-4 && (spread.p95.max - 0.1).abs() < 1e-3, "{:?}", spread.p95);
        // (499 × 0.01 + 0.1)² / (500 × (499 × 0.01² + 0.1²))
        assert!((spread.fairness_latency - 0.8650).abs() < 1e-3, "{}", spread.fairness_latency);
        assert_eq!(spread.fairness_throughput, 1.0);
        let metric = ByTag::of_metric(by_tag.durations.clone()).spread("tenant", Duration::from_secs(10)).unwrap();
        assert_eq!((metric.values, metric.p95), (500, spread.p95));
        assert_eq!((metric.slowest[0].count, metric.slowest[0].failures), (20, None));
        by_tag.durations.clear();
        assert_eq!(by_tag.spread("tenant", Duration::from_secs(10)), None);
    }

    #[test]
    fn jains_index_is_one_for_equals_and_one_in_n_for_a_single_winner() {
        assert_eq!(jain([3.0, 3.0, 3.0].into_iter()), 1.0);
        assert_eq!(jain([8.0, 0.0, 0.0, 0.0].into_iter()), 0.25);
        // (1 + 2 + 3)² / (3 × 14)
        assert!((jain([1.0, 2.0, 3.0].into_iter()) - 36.0 / 42.0).abs() < 1e-12);
        assert_eq!(jain([].into_iter()), 1.0);
    }
}
