//! The shard: one worker thread's own place for samples, without a lock.
//!
//! A slot per series, found by index. The registry is asked once per series, when the slot is touched for the first
//! time; after that a sample is an index, a match and an addition.

use std::time::Duration;

use crate::{Dated, Delta, Histogram, Interval, MetricKind, Rate, Registry, SeriesId, Unit};

#[derive(Debug)]
struct Slot {
    /// Kind and unit, once the registry has been asked.
    meaning: Option<(MetricKind, Unit)>,
    /// What has been gathered since the last hand-over.
    delta: Option<Delta>,
}

/// Samples of one worker since its last hand-over.
#[derive(Debug)]
pub struct Shard {
    registry: Registry,
    slots: Vec<Slot>,
    touched: Vec<SeriesId>,
    dated: Vec<Dated>,
    rejected: u64,
    dropped: u64,
    start: u64,
}

impl Shard {
    /// An empty shard whose first interval begins at `unix_ns`, in nanoseconds since the Unix epoch.
    pub fn new(registry: Registry, unix_ns: u64) -> Self {
        let (slots, touched, dated) = (Vec::new(), Vec::new(), Vec::new());
        Self { registry, slots, touched, dated, rejected: 0, dropped: 0, start: unix_ns }
    }

    /// The registry that gives out the ids.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Adds to a counter. Adding 0 makes the series appear, so that a threshold on it has something to judge.
    #[inline]
    pub fn count(&mut self, series: SeriesId, by: f64) {
        match self.delta(series) {
            // False for NaN too.
            Some(Delta::Counter(sum)) if (0.0..f64::INFINITY).contains(&by) => *sum += by,
            _ => self.first(series, MetricKind::Counter, by),
        }
    }

    /// Sets a gauge. The value counts as seen at the beginning of the current interval.
    #[inline]
    pub fn gauge(&mut self, series: SeriesId, value: f64) {
        let at = self.start;
        match self.delta(series) {
            Some(Delta::Gauge(gauge)) if value.is_finite() => gauge.set(value, at),
            _ => self.first(series, MetricKind::Gauge, value),
        }
    }

    /// Adds a sample to a rate.
    #[inline]
    pub fn rate(&mut self, series: SeriesId, value: bool) {
        match self.delta(series) {
            Some(Delta::Rate(Rate { trues, total })) => {
                *trues += u64::from(value);
                *total += 1;
            }
            _ => self.first(series, MetricKind::Rate, f64::from(u8::from(value))),
        }
    }

    /// Adds a duration to a distribution in seconds.
    #[inline]
    pub fn record_duration(&mut self, series: SeriesId, duration: Duration) {
        self.record_ns(series, u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds a duration in nanoseconds to a distribution in seconds.
    #[inline]
    pub fn record_ns(&mut self, series: SeriesId, ns: u64) {
        match self.delta(series) {
            Some(Delta::Distribution(histogram)) if histogram.unit() == Unit::Seconds => histogram.record_raw(ns),
            _ => self.first_ns(series, ns),
        }
    }

    /// Adds a value, in the metric's unit, to a series of any kind. For a rate, 0 is false and anything else is true.
    pub fn record(&mut self, series: SeriesId, value: f64) {
        let at = self.start;
        let taken = match self.delta(series) {
            _ if !value.is_finite() => false,
            Some(Delta::Gauge(gauge)) => {
                gauge.set(value, at);
                true
            }
            Some(_) if value < 0.0 => false,
            Some(Delta::Counter(sum)) => {
                *sum += value;
                true
            }
            Some(Delta::Rate(Rate { trues, total })) => {
                *trues += u64::from(value != 0.0);
                *total += 1;
                true
            }
            Some(Delta::Distribution(histogram)) => histogram.record(value),
            None => match self.meaning(series) {
                Some((kind, _)) => return self.first(series, kind, value),
                None => false,
            },
        };
        self.rejected += u64::from(!taken);
    }

    /// Adds a value that belongs to another instant than now, in nanoseconds since the Unix epoch.
    pub fn record_at(&mut self, series: SeriesId, value: f64, unix_ns: u64) {
        let possible = self.meaning(series).is_some_and(|(kind, _)| value >= 0.0 || kind == MetricKind::Gauge);
        if possible && value.is_finite() {
            self.dated.push(Dated { series, unix_ns, value });
        } else {
            self.rejected += 1;
        }
    }

    /// Counts samples that were dropped because of a limit: no series for them, or too many at once.
    pub fn drop_samples(&mut self, samples: u64) {
        self.dropped += samples;
    }

    /// How many samples were refused since the last hand-over because their value is not possible.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Hands over what was gathered and leaves the shard empty. The next interval begins where this one ends, at
    /// `unix_ns`.
    pub fn take(&mut self, unix_ns: u64) -> Interval {
        self.touched.sort_unstable();
        let slots = &mut self.slots;
        let taken = self.touched.drain(..).filter_map(|id| Some((id, slots.get_mut(id.index())?.delta.take()?)));
        let interval = Interval {
            start: self.start,
            end: unix_ns,
            deltas: taken.collect(),
            dated: std::mem::take(&mut self.dated),
            rejected: std::mem::take(&mut self.rejected),
            dropped: std::mem::take(&mut self.dropped),
        };
        self.start = unix_ns;
        interval
    }

    #[inline]
    fn delta(&mut self, series: SeriesId) -> Option<&mut Delta> {
        self.slots.get_mut(series.index())?.delta.as_mut()
    }

    /// The first sample of a series in this interval, or one that does not fit.
    #[cold]
    fn first(&mut self, series: SeriesId, kind: MetricKind, value: f64) {
        let start = self.start;
        let delta = match self.meaning(series) {
            Some((known, unit)) if known == kind => Delta::first(kind, unit, value, start),
            _ => None,
        };
        self.place(series, delta);
    }

    #[cold]
    fn first_ns(&mut self, series: SeriesId, ns: u64) {
        let delta = (self.meaning(series) == Some((MetricKind::Distribution, Unit::Seconds))).then(|| {
            let mut histogram = Histogram::new(Unit::Seconds);
            histogram.record_raw(ns);
            Delta::Distribution(Box::new(histogram))
        });
        self.place(series, delta);
    }

    fn place(&mut self, series: SeriesId, delta: Option<Delta>) {
        match (self.slots.get_mut(series.index()), delta) {
            (Some(slot), Some(delta)) if slot.delta.is_none() => {
                slot.delta = Some(delta);
                self.touched.push(series);
            }
            _ => self.rejected += 1,
        }
    }

    fn meaning(&mut self, series: SeriesId) -> Option<(MetricKind, Unit)> {
        if let Some(Slot { meaning: Some(known), .. }) = self.slots.get(series.index()) {
            return Some(*known);
        }
        let info = self.registry.info(series)?;
        let meaning = (info.metric.kind, info.metric.unit);
        if self.slots.len() <= series.index() {
            self.slots.resize_with(series.index() + 1, || Slot { meaning: None, delta: None });
        }
        if let Some(slot) = self.slots.get_mut(series.index()) {
            slot.meaning = Some(meaning);
        }
        Some(meaning)
    }
}

impl Dated {
    /// The sample as a delta of its own; none if the value is not possible for that kind.
    pub fn delta(&self, kind: MetricKind, unit: Unit) -> Option<Delta> {
        Delta::first(kind, unit, self.value, self.unix_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builtin, Gauge, MetricDef, MetricId, Tags};

    fn series(registry: &Registry, builtin: Builtin) -> SeriesId {
        registry.series(builtin.into(), Tags::new([("scenario", "s")])).unwrap()
    }

    #[test]
    fn every_kind_gathers_and_a_hand_over_empties_the_shard() {
        let registry = Registry::default();
        let [reqs, vus, failed, duration] =
            [Builtin::HttpReqs, Builtin::Vus, Builtin::HttpReqFailed, Builtin::HttpReqDuration]
                .map(|builtin| series(&registry, builtin));
        let mut shard = Shard::new(registry, 100);
        for at in 0..4_u8 {
            shard.count(reqs, 1.0);
            shard.gauge(vus, f64::from(at));
            shard.rate(failed, at == 0);
            shard.record_duration(duration, Duration::from_millis(u64::from(at) + 1));
        }
        let interval = shard.take(200);
        assert_eq!((interval.start, interval.end, interval.rejected), (100, 200, 0));
        assert_eq!(interval.get(reqs), Some(&Delta::Counter(4.0)));
        let gauge = Gauge { last: 3.0, at: 100, min: 0.0, max: 3.0, count: 4, sum: 6.0 };
        assert_eq!(interval.get(vus), Some(&Delta::Gauge(gauge)));
        assert_eq!(interval.get(failed), Some(&Delta::Rate(Rate { trues: 1, total: 4 })));
        let Some(Delta::Distribution(histogram)) = interval.get(duration) else { panic!("no distribution") };
        assert_eq!((histogram.count(), histogram.mean()), (4, 0.0025));
        assert!(shard.take(300).is_empty());
        shard.count(reqs, 1.0);
        assert_eq!(shard.take(400).get(reqs), Some(&Delta::Counter(1.0)));
    }

    #[test]
    fn impossible_samples_are_counted_and_change_nothing() {
        let registry = Registry::default();
        let (reqs, duration) = (series(&registry, Builtin::HttpReqs), series(&registry, Builtin::HttpReqDuration));
        let mut shard = Shard::new(registry, 0);
        shard.count(reqs, f64::NAN);
        shard.count(reqs, 1.0);
        shard.count(reqs, -1.0);
        shard.count(reqs, f64::INFINITY);
        shard.record(reqs, -3.0);
        shard.record(duration, f64::NAN);
        shard.record_at(duration, -1.0, 5);
        // Of another kind, or of no registry.
        shard.rate(reqs, true);
        shard.record_ns(reqs, 5);
        shard.count(SeriesId::from_index(77), 1.0);
        assert_eq!(shard.rejected(), 9);
        let interval = shard.take(1);
        assert_eq!(interval.rejected, 9);
        assert_eq!(interval.deltas, [(reqs, Delta::Counter(1.0))]);
    }

    #[test]
    fn a_general_sample_follows_the_kind_and_unit_of_its_metric() {
        let registry = Registry::default();
        let define = |name, kind, unit| {
            let metric: MetricId = registry.metric(&MetricDef::new(name, kind, unit, "")).unwrap();
            registry.series(metric, Tags::default()).unwrap()
        };
        let wait = define("kfp_wait", MetricKind::Distribution, Unit::Seconds);
        let ok = define("kfp_ok", MetricKind::Rate, Unit::Ratio);
        let depth = define("kfp_depth", MetricKind::Gauge, Unit::None);
        let mut shard = Shard::new(registry.clone(), 50);
        for value in [1.5, 0.0] {
            for id in [wait, ok, depth] {
                shard.record(id, value);
            }
        }
        shard.record_at(depth, 9.0, 42);
        let interval = shard.take(60);
        let Some(Delta::Distribution(histogram)) = interval.get(wait) else { panic!("no distribution") };
        assert_eq!((histogram.count(), histogram.max()), (2, 1.5));
        assert_eq!(interval.get(ok), Some(&Delta::Rate(Rate { trues: 1, total: 2 })));
        assert_eq!(interval.dated, [Dated { series: depth, unix_ns: 42, value: 9.0 }]);
        let Some(Delta::Gauge(gauge)) = interval.get(depth) else { panic!("no gauge") };
        assert_eq!((gauge.last, gauge.max), (0.0, 1.5));
    }
}
