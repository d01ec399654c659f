//! What series have gathered since the run began.

use std::collections::HashMap;
use std::sync::Arc;

use kperf_metrics::{Delta, MetricKind, SeriesId, SeriesInfo, Unit};

use crate::names;

/// A series' value so far.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Counter(f64),
    Gauge(f64),
    Rate { trues: u64, total: u64 },
    Distribution { counts: Vec<u64>, count: u64, sum: f64 },
}

/// A series and its value so far.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) info: Arc<SeriesInfo>,
    pub(crate) value: Value,
    /// When a gauge's value was seen, in nanoseconds since the Unix epoch.
    at: u64,
    /// The last point that was sent, in nanoseconds since the Unix epoch.
    pub(crate) sent: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Cumulative {
    /// None for series of a metric whose name is taken by another one's.
    series: HashMap<SeriesId, Option<Series>>,
    /// Which metric has a name in Prometheus.
    names: HashMap<String, Arc<str>>,
}

impl Cumulative {
    /// Adds what a series gathered, and gives back the series; none if its name is taken.
    pub(crate) fn add(&mut self, info: &Arc<SeriesInfo>, delta: &Delta) -> Option<&mut Series> {
        let Self { series, names } = self;
        let series = series.entry(info.id).or_insert_with(|| {
            let owner = names.entry(claim(info)).or_insert_with(|| Arc::clone(&info.metric.name));
            if *owner != info.metric.name {
                tracing::warn!("`{}` is not exported: `{owner}` has the same name there", info.metric.name);
                return None;
            }
            Some(Series { info: Arc::clone(info), value: zero(info), at: 0, sent: None })
        });
        let series = series.as_mut()?;
        match (&mut series.value, delta) {
            (Value::Counter(sum), Delta::Counter(more)) => *sum += more,
            (Value::Gauge(value), Delta::Gauge(gauge)) if gauge.at >= series.at => {
                (*value, series.at) = (gauge.last, gauge.at);
            }
            (Value::Rate { trues, total }, Delta::Rate(rate)) => {
                *trues += rate.trues;
                *total += rate.total;
            }
            (Value::Distribution { counts, count, sum }, Delta::Distribution(histogram)) => {
                let more = histogram.counts_between(bounds(info.metric.unit));
                counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
                *count += histogram.count();
                *sum += histogram.sum();
            }
            // An older value of a gauge. A series has one kind.
            _ => {}
        }
        Some(series)
    }

    /// Every series.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Series> {
        self.series.values().flatten()
    }
}

/// The name that only one metric may have.
fn claim(info: &SeriesInfo) -> String {
    let base = names::base(&info.metric);
    match info.metric.kind {
        MetricKind::Counter => names::total(&base),
        MetricKind::Rate => names::rate(&base).concat(),
        MetricKind::Gauge | MetricKind::Distribution => base,
    }
}

fn zero(info: &SeriesInfo) -> Value {
    match info.metric.kind {
        MetricKind::Counter => Value::Counter(0.0),
        MetricKind::Gauge => Value::Gauge(0.0),
        MetricKind::Rate => Value::Rate { trues: 0, total: 0 },
        MetricKind::Distribution => {
            Value::Distribution { counts: vec![0; bounds(info.metric.unit).len() + 1], count: 0, sum: 0.0 }
        }
    }
}

/// The bounds of a histogram's buckets: about two and a half times apart, where answers of servers and runs of pipelines lie.
pub(crate) const fn bounds(unit: Unit) -> &'static [f64] {
    match unit {
        Unit::Seconds => &[
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
            600.0, 1800.0, 3600.0,
        ],
        Unit::Bytes => &[
            256.0,
            1024.0,
            4096.0,
            16_384.0,
            65_536.0,
            262_144.0,
            1_048_576.0,
            4_194_304.0,
            16_777_216.0,
            67_108_864.0,
            268_435_456.0,
            1_073_741_824.0,
        ],
        Unit::Ratio => &[0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0],
        Unit::None => &[
            1.0,
            2.0,
            5.0,
            10.0,
            20.0,
            50.0,
            100.0,
            200.0,
            500.0,
            1000.0,
            2000.0,
            5000.0,
            10_000.0,
            100_000.0,
            1_000_000.0,
        ],
    }
}
