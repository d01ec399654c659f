//! Splitting work over shards, workers and machines must not change what was measured.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what panics here fails the test, as it should")]

use kperf_metrics::{Builtin, Interval, IntervalRecord, Registry, SeriesId, Shard, Tags, Totals};
use proptest::prelude::*;

/// One sample: which series, and a value. Counter values are whole, as those of the host are.
#[derive(Debug, Clone, Copy)]
struct Sample {
    series: usize,
    value: u32,
    dated: bool,
}

fn sample() -> impl Strategy<Value = Sample> {
    let value = prop_oneof![0..5_000_u32, any::<u32>()];
    (0..6_usize, value, prop::bool::weighted(0.1)).prop_map(|(series, value, dated)| Sample { series, value, dated })
}

fn series(registry: &Registry) -> [SeriesId; 6] {
    let metrics = [
        Builtin::HttpReqs,
        Builtin::HttpReqFailed,
        Builtin::HttpReqDuration,
        Builtin::DataSent,
        Builtin::WorkerCpu,
        Builtin::Vus,
    ];
    metrics.map(|builtin| registry.series(builtin.into(), Tags::new([("scenario", "s")])).unwrap())
}

/// What the samples become in one shard, whose interval begins at `start`.
fn measure(registry: &Registry, samples: &[Sample], start: u64) -> Interval {
    let ids = series(registry);
    let mut shard = Shard::new(registry.clone(), start);
    for (at, sample) in samples.iter().enumerate() {
        let id = ids[sample.series];
        if sample.dated {
            shard.record_at(id, f64::from(sample.value), start + at as u64);
        } else if sample.series == 2 {
            shard.record_ns(id, u64::from(sample.value) * 10_000);
        } else {
            shard.record(id, f64::from(sample.value));
        }
    }
    shard.take(start + 1000)
}

fn totals<'a>(registry: &Registry, intervals: impl IntoIterator<Item = &'a Interval>) -> Vec<String> {
    let mut totals = Totals::new(registry.clone());
    intervals.into_iter().for_each(|interval| totals.add(interval));
    // Histograms of the same values may have grown to different reach: compare what they contain.
    totals.iter().map(|(info, delta)| format!("{info} {}", content(delta))).collect()
}

fn content(delta: &kperf_metrics::Delta) -> String {
    match delta {
        kperf_metrics::Delta::Distribution(histogram) => {
            let buckets: Vec<_> =
                histogram.buckets().iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value())).collect();
            format!("{:?} {} {buckets:?}", histogram.figures(), histogram.sum())
        }
        other => format!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_merging_does_not_matter(
        parts in prop::collection::vec(prop::collection::vec(sample(), 0..40), 1..6),
        turn in 0..6_usize,
    ) {
        let registry = Registry::default();
        let intervals: Vec<_> =
            parts.iter().enumerate().map(|(at, part)| measure(&registry, part, at as u64 * 1000)).collect();
        let mut turned = intervals.clone();
        turned.rotate_left(turn % intervals.len());
        turned.reverse();
        let mut forward = Interval::default();
        let mut other = Interval::default();
        intervals.iter().cloned().for_each(|interval| forward.merge(interval));
        turned.iter().cloned().for_each(|interval| other.merge(interval));
        prop_assert_eq!(totals(&registry, [&forward]), totals(&registry, [&other]));
        prop_assert_eq!(totals(&registry, [&forward]), totals(&registry, &intervals));
        prop_assert_eq!((forward.start, forward.end), (other.start, other.end));
    }

    #[test]
    fn several_shards_are_one_shard(samples in prop::collection::vec(sample(), 1..120), shards in 1..5_usize) {
        // The last value of a gauge depends on the instant, which is the interval's; everything else does not.
        let samples: Vec<_> = samples.into_iter().filter(|sample| sample.series != 5).collect();
        let registry = Registry::default();
        let whole = measure(&registry, &samples, 0);
        let mut merged = Interval::default();
        for shard in 0..shards {
            let part: Vec<_> = samples.iter().copied().skip(shard).step_by(shards).collect();
            merged.merge(measure(&registry, &part, 0));
        }
        prop_assert_eq!(totals(&registry, [&whole]), totals(&registry, [&merged]));
    }

    #[test]
    fn records_restore_exactly(samples in prop::collection::vec(sample(), 0..120)) {
        let registry = Registry::default();
        let interval = measure(&registry, &samples, 1_700_000_000_000_000_000);
        let text = serde_json::to_string(&IntervalRecord::of(&interval)).unwrap();
        let record: IntervalRecord = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(record.restore().unwrap(), interval);
    }
}
