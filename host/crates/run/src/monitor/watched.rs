//! A scenario as the monitor sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_load::{Counts, Progress, Shared};
use kperf_metrics::{
    Builtin, Delta, Histogram, Interval, LoadTimes, Registry, SeriesId, SeriesLimit, Shard, Tags, Unit,
};
use kperf_plan::PlannedScenario;
use kperf_results::{Activity, CapacityChange, Doing, LoadTarget, ScenarioChange, ScenarioProgress};
use kperf_schedule::{LoadLevel, Pacer};

use super::judge::Judged;
use crate::capacity::{CapacityController, LoadOrigin};
use crate::clock::{nanoseconds, unix_ns};

/// See the module.
pub(crate) struct Watched<'a> {
    pub(super) plan: &'a PlannedScenario,
    pub(super) thresholds: Vec<Judged<'a>>,
    /// Workers that are not done.
    pub(super) working: usize,
    pub(super) started: bool,
    /// When all workers were done, from the start of load.
    pub(super) finished: Option<Duration>,
    pacer: Pacer,
    progress: Vec<Arc<Progress>>,
    series: ScenarioSeries,
    counts: Counts,
    rate: f64,
    failed: u64,
    p95: Option<f64>,
    search: Option<CapacityController<'a>>,
}

/// What only the sum over a scenario's workers says.
struct ScenarioSeries {
    vus: SeriesId,
    vus_max: SeriesId,
    dropped: SeriesId,
    failed: SeriesId,
    capacity: SeriesId,
}

impl<'a> Watched<'a> {
    /// # Errors
    /// When the run has too many series already.
    pub(crate) fn new(
        plan: &'a PlannedScenario,
        epoch: Instant,
        progress: Vec<Arc<Progress>>,
        shared: Arc<Shared>,
        registry: &Registry,
        tags: &Tags,
    ) -> Result<Self, SeriesLimit> {
        let series = |metric: Builtin| registry.series(metric.into(), tags.clone());
        Ok(Self {
            pacer: Pacer::new(&plan.schedule.executor),
            working: progress.len(),
            progress,
            started: false,
            finished: None,
            series: ScenarioSeries {
                failed: series(Builtin::IterationsFailed)?,
                vus: series(Builtin::Vus)?,
                vus_max: series(Builtin::VusMax)?,
                dropped: series(Builtin::DroppedIterations)?,
                capacity: series(Builtin::Capacity)?,
            },
            counts: Counts::default(),
            rate: 0.0,
            failed: 0,
            p95: None,
            thresholds: Judged::all(&plan.thresholds),
            search: CapacityController::of(
                &plan.plugin.name,
                &plan.schedule,
                &plan.criteria,
                LoadOrigin { epoch, epoch_unix_ns: 0, shared, registry: registry.clone() },
            ),
            plan,
        })
    }

    /// Load is about to start at `epoch_unix_ns`.
    pub(super) fn begin(&mut self, shard: &mut Shard, epoch_unix_ns: u64) {
        // So that a threshold on failures has something to judge when nothing fails.
        shard.count(self.series.failed, 0.0);
        if let Some(search) = &mut self.search {
            search.begin(epoch_unix_ns);
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.plan.plugin.name
    }

    pub(super) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Takes in what a worker measured in about a second.
    pub(super) fn samples(&mut self, interval: &Interval) {
        if let Some(search) = &mut self.search {
            search.samples(interval);
        }
    }

    /// When the scenario starts, from the start of load, if that is now.
    pub(super) fn start_if_due(&mut self, now: Instant, epoch: Instant) -> Option<Duration> {
        let start = self.plan.schedule.start;
        let due = !self.started && now >= epoch + start;
        self.started |= due;
        due.then_some(start)
    }

    /// A worker is done; gives the end of the scenario if it was the last one.
    pub(super) fn worker_done(&mut self, epoch: Instant) -> Option<ScenarioChange> {
        self.working = self.working.saturating_sub(1);
        if self.working > 0 {
            return None;
        }
        let now = Instant::now();
        self.finished = Some(now.saturating_duration_since(epoch));
        let mut elapsed = now.saturating_duration_since(epoch + self.plan.schedule.start);
        if self.plan.schedule.executor.is_open() && self.search.is_none() {
            // Arrivals came for so long; what the last ones took beyond that is no part of their rate.
            elapsed = elapsed.min(self.pacer.total_duration());
        }
        Some(ScenarioChange::Finished {
            scenario: self.name().to_owned(),
            unix_ns: unix_ns(),
            elapsed_ns: nanoseconds(elapsed),
            interrupted: self.sum().interrupted,
        })
    }

    /// Lets a capacity search go on; says when it has come further.
    pub(super) fn advance_search(&mut self, now: Instant, shard: &mut Shard) -> Option<CapacityChange> {
        let counts = self.sum();
        let search = self.search.as_mut()?;
        let change = search.advance_to(now, counts)?;
        if let Some(capacity) = search.capacity() {
            shard.gauge(self.series.capacity, capacity);
        }
        Some(change)
    }

    /// Records what only the sum over the workers says.
    pub(super) fn gather(&mut self, shard: &mut Shard) {
        let counts = self.sum();
        shard.gauge(self.series.vus, f64::from(counts.active));
        shard.gauge(self.series.vus_max, f64::from(self.plan.schedule.executor.max_users()));
        shard.count(self.series.dropped, counts.dropped.saturating_sub(self.counts.dropped) as f64);
        self.rate = counts.finished.saturating_sub(self.counts.finished) as f64;
        self.counts = counts;
    }

    /// Looks at what the last second's samples say for the live display.
    pub(super) fn look(&mut self, registry: &Registry, interval: &Interval) {
        let mut latency: Option<Histogram> = None;
        for (id, delta) in interval.iter() {
            let Some(info) = registry.info(id) else { continue };
            if info.tags.get("scenario") != Some(self.name()) {
                continue;
            }
            match delta {
                Delta::Counter(count) if &*info.metric.name == Builtin::IterationsFailed.name() => {
                    self.failed += *count as u64;
                }
                Delta::Distribution(histogram) if &*info.metric.name == Builtin::HttpReqDuration.name() => {
                    latency.get_or_insert_with(|| Histogram::new(Unit::Seconds)).merge(histogram);
                }
                _ => {}
            }
        }
        self.p95 = latency.map(|histogram| histogram.percentile(95.0)).or(self.p95);
    }

    /// How the scenario stands.
    pub(super) fn progress(&self, times: &LoadTimes, stopping: bool) -> ScenarioProgress {
        let elapsed = times.of(self.name()).elapsed;
        let planned = self.pacer.total_duration();
        let stage = self.pacer.stage(elapsed);
        ScenarioProgress {
            scenario: self.name().to_owned(),
            activity: match (self.finished.is_some(), self.started, stopping || elapsed > planned) {
                (true, ..) => Activity::Done,
                (_, false, _) => Activity::Waiting,
                (_, _, true) => Activity::Stopping,
                _ => Activity::Running,
            },
            elapsed,
            planned: self.search.is_none().then_some(planned),
            share: match &self.search {
                _ if self.finished.is_some() => 1.0,
                Some(search) => search.share(),
                None => (elapsed.as_secs_f64() / planned.as_secs_f64().max(1e-9)).min(1.0),
            },
            stage: (stage.index + 1, stage.count),
            doing: match (&self.search, self.pacer.level(elapsed)) {
                (Some(search), _) => search.doing(),
                (None, LoadLevel::Users(users)) => Doing::Schedule(LoadTarget::Users(users)),
                (None, LoadLevel::Arrivals(rate)) => Doing::Schedule(LoadTarget::PerSecond(rate.as_per_second())),
            },
            users: self.counts.active.into(),
            iterations: self.counts.finished,
            failed: self.failed,
            dropped: self.counts.dropped,
            rate: self.rate,
            p95: self.p95,
        }
    }

    fn sum(&self) -> Counts {
        self.progress.iter().map(|progress| progress.counts()).fold(Counts::default(), |sum, one| Counts {
            active: sum.active + one.active,
            allocated: sum.allocated + one.allocated,
            started: sum.started + one.started,
            finished: sum.finished + one.finished,
            interrupted: sum.interrupted + one.interrupted,
            dropped: sum.dropped + one.dropped,
            late_sum: sum.late_sum + one.late_sum,
            late_max: sum.late_max.max(one.late_max),
        })
    }
}
