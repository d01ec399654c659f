//! What a whole run has gathered so far, per series.

use std::sync::Arc;

use crate::{Delta, Interval, Registry, SeriesId, SeriesInfo, Tags};

/// Cumulative state of every series.
#[derive(Debug, Clone)]
pub struct Totals {
    registry: Registry,
    series: Vec<Option<Delta>>,
    /// Samples that were refused because their value is not possible.
    pub rejected: u64,
    /// Samples that were dropped because of a limit.
    pub dropped: u64,
}

impl Totals {
    /// Nothing yet.
    pub fn new(registry: Registry) -> Self {
        Self { registry, series: Vec::new(), rejected: 0, dropped: 0 }
    }

    /// The registry that gives out the ids.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Adds an interval, its dated samples included.
    pub fn add(&mut self, interval: &Interval) {
        for (id, delta) in interval.iter() {
            self.join(id, delta);
        }
        for dated in &interval.dated {
            let info = self.registry.info(dated.series);
            if let Some(delta) = info.and_then(|info| dated.delta(info.metric.kind, info.metric.unit)) {
                self.join(dated.series, &delta);
            }
        }
        self.rejected += interval.rejected;
        self.dropped += interval.dropped;
    }

    /// What one series has gathered.
    pub fn get(&self, id: SeriesId) -> Option<&Delta> {
        self.series.get(id.index())?.as_ref()
    }

    /// What all series of a metric whose tags match have gathered together; none if none of them has a sample.
    pub fn select(&self, metric: &str, selector: &Tags) -> Option<Delta> {
        let ids = self.registry.select(metric, selector);
        let mut deltas = ids.into_iter().filter_map(|id| self.get(id));
        let mut all = deltas.next()?.clone();
        deltas.for_each(|delta| all.merge(delta));
        Some(all)
    }

    /// Every series that has gathered something, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (Arc<SeriesInfo>, &Delta)> {
        self.registry.snapshot(0).into_iter().filter_map(|info| Some((self.get(info.id)?, info))).map(|(d, i)| (i, d))
    }

    fn join(&mut self, id: SeriesId, delta: &Delta) {
        if self.series.len() <= id.index() {
            self.series.resize(id.index() + 1, None);
        }
        match self.series.get_mut(id.index()) {
            Some(Some(into)) => into.merge(delta),
            Some(empty) => *empty = Some(delta.clone()),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builtin, Shard};

    #[test]
    fn a_selection_adds_up_every_matching_series_and_dated_samples_count() {
        let registry = Registry::default();
        let of =
            |op: &str| registry.series(Builtin::HttpReqs.into(), Tags::new([("scenario", "s"), ("operation", op)]));
        let (create, get) = (of("create").unwrap(), of("get").unwrap());
        let mut shard = Shard::new(registry.clone(), 0);
        let mut totals = Totals::new(registry);
        for _ in 0..3 {
            shard.count(create, 1.0);
            shard.count(get, 10.0);
            shard.record_at(get, 100.0, 7);
            totals.add(&shard.take(1));
        }
        let sum = |selector: &Tags| totals.select("http_reqs", selector);
        assert_eq!(sum(&Tags::default()), Some(Delta::Counter(333.0)));
        assert_eq!(sum(&Tags::new([("operation", "create")])), Some(Delta::Counter(3.0)));
        assert_eq!(sum(&Tags::new([("scenario", "other")])), None);
        assert_eq!(totals.select("vus", &Tags::default()), None);
        assert_eq!(totals.iter().count(), 2);
    }
}
