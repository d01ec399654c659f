//! What the host itself records of iterations, on each worker.

use std::cell::RefCell;
use std::time::Instant;

use kperf_metrics::{Builtin, Registry, SeriesId, SeriesLimit, Shard, Tags};

/// The series of a scenario's iterations, found once.
pub(crate) struct Recorder {
    registry: Registry,
    tags: Tags,
    iterations: SeriesId,
    duration: SeriesId,
    response_time: SeriesId,
    start_delay: SeriesId,
    /// Few kinds, looked at only when something fails.
    failed: RefCell<Vec<(String, SeriesId)>>,
}

impl Recorder {
    /// # Errors
    /// When the run has too many series already.
    pub(crate) fn new(registry: &Registry, tags: &Tags) -> Result<Self, SeriesLimit> {
        let series = |metric: Builtin| registry.series(metric.into(), tags.clone());
        Ok(Self {
            iterations: series(Builtin::Iterations)?,
            duration: series(Builtin::IterationDuration)?,
            response_time: series(Builtin::IterationResponseTime)?,
            start_delay: series(Builtin::IterationStartDelay)?,
            failed: RefCell::default(),
            registry: registry.clone(),
            tags: tags.clone(),
        })
    }

    /// Records an iteration that ran from `start` until now; `failure` is the kind, if it failed.
    pub(crate) fn iteration(&self, shard: &mut Shard, due: Option<Instant>, start: Instant, failure: Option<&str>) {
        let end = Instant::now();
        shard.count(self.iterations, 1.0);
        shard.record_duration(self.duration, end.saturating_duration_since(start));
        if let Some(due) = due {
            shard.record_duration(self.response_time, end.saturating_duration_since(due));
            shard.record_duration(self.start_delay, start.saturating_duration_since(due));
        }
        if let Some(kind) = failure {
            self.failure(shard, kind);
        }
    }

    fn failure(&self, shard: &mut Shard, kind: &str) {
        let mut failed = self.failed.borrow_mut();
        let known = failed.iter().find(|(name, _)| name == kind).map(|(_, series)| *series);
        let series = known.or_else(|| {
            let series = self.registry.series(Builtin::IterationsFailed.into(), self.tags.with("kind", kind)).ok()?;
            failed.push((kind.to_owned(), series));
            Some(series)
        });
        match series {
            Some(series) => shard.count(series, 1.0),
            None => shard.drop_samples(1),
        }
    }
}
