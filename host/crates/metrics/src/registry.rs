//! The registry: which metrics and series exist. Asked only when something appears for the first time.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{Builtin, MetricDef, Tags};

/// A metric within one [`Registry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricId(u32);

impl MetricId {
    pub(crate) const fn from_index(index: u32) -> Self {
        Self(index)
    }

    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A series (a metric with one set of tags) within one [`Registry`]. Ids are given out from 0 without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(u32);

impl SeriesId {
    /// The id with this number. Only an id that the registry gave out means anything.
    pub const fn from_index(index: u32) -> Self {
        Self(index)
    }

    /// The number, for use as an index and in the journal.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The number as it was given out.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// What a series is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesInfo {
    /// The number by which samples refer to it.
    pub id: SeriesId,
    /// The metric's definition.
    pub metric: Arc<MetricDef>,
    /// What tells it from other series of the metric.
    pub tags: Tags,
}

impl fmt::Display for SeriesInfo {
    /// `http_req_duration{operation=create_run}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric.name)?;
        if self.tags.is_empty() { Ok(()) } else { write!(f, "{}", self.tags) }
    }
}

/// A name was registered twice with different meanings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "metric `{name}` is already a {} in unit `{}`, it can't be a {} in unit `{}` too: give one of them another name",
    known.kind, known.unit, new.kind, new.unit
)]
pub struct MetricConflict {
    /// The metric's name.
    pub name: Arc<str>,
    /// The definition that came first.
    pub known: Arc<MetricDef>,
    /// The definition that was refused.
    pub new: Box<MetricDef>,
}

/// There are too many series. Samples of further ones are to be dropped and counted ([`crate::Shard::drop_samples`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the limit of {limit} series is reached, samples of new series are dropped: metric `{metric}` has {series} series{}; \
     use values from a small set for tags, never ids or URLs, or raise the suite's series limit",
    key.as_ref().map(|(key, values)| format!(" and its tag `{key}` {values} different values")).unwrap_or_default()
)]
pub struct SeriesLimit {
    /// The most series that may exist.
    pub limit: usize,
    /// The metric with the most series.
    pub metric: Arc<str>,
    /// How many series that metric has.
    pub series: usize,
    /// That metric's tag key with the most different values, and how many they are.
    pub key: Option<(Arc<str>, usize)>,
}

#[derive(Debug, Default)]
struct Tables {
    metrics: Vec<Arc<MetricDef>>,
    by_name: FxHashMap<Arc<str>, MetricId>,
    series: Vec<Arc<SeriesInfo>>,
    by_tags: FxHashMap<(MetricId, Tags), SeriesId>,
    of_metric: Vec<Vec<SeriesId>>,
    /// Kept after the first time, because finding the culprit walks over all series.
    full: Option<SeriesLimit>,
}

/// All metrics and series of a run. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Registry {
    limit: usize,
    tables: Arc<Mutex<Tables>>,
}

impl Registry {
    /// The limit on series unless the suite says otherwise: beyond it, a second's hand-over costs a noticeable share of
    /// the second.
    pub const DEFAULT_LIMIT: usize = 10_000;

    /// A registry that knows the built-in metrics and no series, and allows `limit` series.
    pub fn new(limit: usize) -> Self {
        let mut tables = Tables::default();
        for builtin in Builtin::ALL {
            tables.define(Arc::new(builtin.def()));
        }
        Self { limit, tables: Arc::new(Mutex::new(tables)) }
    }

    /// The id of a metric; the first call defines it.
    ///
    /// # Errors
    /// When the name already has another kind or unit.
    pub fn metric(&self, def: &MetricDef) -> Result<MetricId, MetricConflict> {
        let mut tables = self.tables.lock();
        let Some((id, known)) = tables.named(&def.name) else {
            return Ok(tables.define(Arc::new(def.clone())));
        };
        if known.kind == def.kind && known.unit == def.unit {
            return Ok(id);
        }
        Err(MetricConflict { name: def.name.clone(), known, new: Box::new(def.clone()) })
    }

    /// The definition of the metric with this name, if there is one.
    pub fn named(&self, name: &str) -> Option<Arc<MetricDef>> {
        self.tables.lock().named(name).map(|(_, def)| def)
    }

    /// The id of a series; the first call creates it.
    ///
    /// # Errors
    /// When the limit is reached: the sample is to be dropped.
    pub fn series(&self, metric: MetricId, tags: Tags) -> Result<SeriesId, SeriesLimit> {
        let mut tables = self.tables.lock();
        let key = (metric, tags);
        if let Some(id) = tables.by_tags.get(&key) {
            return Ok(*id);
        }
        let def = tables.metrics.get(metric.index()).cloned();
        let (Some(def), true) = (def, tables.series.len() < self.limit) else {
            return Err(tables.culprit(self.limit));
        };
        let id = SeriesId(u32::try_from(tables.series.len()).unwrap_or(u32::MAX));
        tables.series.push(Arc::new(SeriesInfo { id, metric: def, tags: key.1.clone() }));
        if let Some(ids) = tables.of_metric.get_mut(metric.index()) {
            ids.push(id);
        }
        tables.by_tags.insert(key, id);
        Ok(id)
    }

    /// What a series is; none for an id that another registry gave out.
    pub fn info(&self, id: SeriesId) -> Option<Arc<SeriesInfo>> {
        self.tables.lock().series.get(id.index()).cloned()
    }

    /// All series from the `first`-th on, in the order of their ids: `snapshot(0)` is everything, and a caller that
    /// remembers how many it has seen gets only the new ones.
    pub fn snapshot(&self, first: usize) -> Vec<Arc<SeriesInfo>> {
        self.tables.lock().series.get(first..).map(<[_]>::to_vec).unwrap_or_default()
    }

    /// The series of the named metric whose tags match the selector.
    pub fn select(&self, metric: &str, selector: &Tags) -> Vec<SeriesId> {
        let tables = self.tables.lock();
        let Some((metric, _)) = tables.named(metric) else { return Vec::new() };
        let ids = tables.of_metric.get(metric.index()).map(Vec::as_slice).unwrap_or_default();
        let matching = ids.iter().filter(|id| tables.series.get(id.index()).is_some_and(|s| s.tags.matches(selector)));
        matching.copied().collect()
    }

    /// The limit's message, once the limit has been reached.
    pub fn limit_reached(&self) -> Option<SeriesLimit> {
        self.tables.lock().full.clone()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

impl Tables {
    fn define(&mut self, def: Arc<MetricDef>) -> MetricId {
        let id = MetricId(u32::try_from(self.metrics.len()).unwrap_or(u32::MAX));
        self.by_name.insert(def.name.clone(), id);
        self.metrics.push(def);
        self.of_metric.push(Vec::new());
        id
    }

    fn named(&self, name: &str) -> Option<(MetricId, Arc<MetricDef>)> {
        let id = *self.by_name.get(name)?;
        self.metrics.get(id.index()).map(|def| (id, def.clone()))
    }

    fn culprit(&mut self, limit: usize) -> SeriesLimit {
        if let Some(known) = &self.full {
            return known.clone();
        }
        let largest = self.of_metric.iter().zip(&self.metrics).max_by_key(|(ids, _)| ids.len());
        let (ids, metric) = largest.map(|(ids, def)| (ids.as_slice(), def.name.clone())).unwrap_or_default();
        let mut values: FxHashMap<&str, FxHashSet<&str>> = FxHashMap::default();
        for info in ids.iter().filter_map(|id| self.series.get(id.index())) {
            for (key, value) in info.tags.iter() {
                values.entry(key).or_default().insert(value);
            }
        }
        let key = values.into_iter().map(|(key, values)| (values.len(), key)).max();
        let key = key.map(|(count, key)| (Arc::from(key), count));
        let found = SeriesLimit { limit, metric, series: ids.len(), key };
        self.full = Some(found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MetricKind, Unit};

    #[test]
    fn built_in_ids_are_their_place_in_the_registry() {
        let registry = Registry::default();
        for builtin in Builtin::ALL {
            assert_eq!(registry.metric(&builtin.def()), Ok(MetricId::from(*builtin)), "{}", builtin.name());
        }
    }

    #[test]
    fn the_same_name_with_another_meaning_is_refused() {
        let registry = Registry::default();
        let def = MetricDef::new("http_reqs", MetricKind::Gauge, Unit::Bytes, "");
        let error = registry.metric(&def).unwrap_err().to_string();
        assert!(error.contains("`http_reqs` is already a counter in unit `none`"), "{error}");
        assert!(error.contains("can't be a gauge in unit `bytes`"), "{error}");
    }

    #[test]
    fn the_limit_names_the_metric_and_the_tag_that_use_it_up() {
        let registry = Registry::new(20);
        let few = MetricId::from(Builtin::Iterations);
        registry.series(few, Tags::new([("scenario", "s")])).unwrap();
        let many = MetricId::from(Builtin::HttpReqs);
        let tags = |at: usize| Tags::new([("scenario", "s".to_owned()), ("operation", format!("run-{at}"))]);
        let made = (0..30).filter(|at| registry.series(many, tags(*at)).is_ok()).count();
        assert_eq!(made, 19);
        assert!(registry.series(many, tags(3)).is_ok(), "a known series stays usable");
        let error = registry.limit_reached().unwrap();
        assert_eq!((&*error.metric, error.series), ("http_reqs", 19));
        assert_eq!(error.key, Some(("operation".into(), 19)));
        assert!(error.to_string().contains("tag `operation` 19 different values"), "{error}");
    }

    #[test]
    fn a_snapshot_can_start_where_the_last_one_ended() {
        let registry = Registry::default();
        let metric = MetricId::from(Builtin::Vus);
        let first = registry.series(metric, Tags::new([("scenario", "a")])).unwrap();
        let second = registry.series(metric, Tags::new([("scenario", "b")])).unwrap();
        assert_eq!(registry.snapshot(0).iter().map(|s| s.id).collect::<Vec<_>>(), [first, second]);
        assert_eq!(registry.snapshot(1).iter().map(|s| s.id).collect::<Vec<_>>(), [second]);
        assert!(registry.snapshot(9).is_empty());
        assert_eq!(registry.select("vus", &Tags::new([("scenario", "b")])), [second]);
    }
}
