//! The monitor: takes in what the workers measured, once a second; writes the journal, judges thresholds, tells reporters
//! and shows progress. It only reads what the workers send, so that it can't slow them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_load::{Counts, Progress, Shared, Signal};
use kperf_metrics::{
    Builtin, Delta, Evaluation, Histogram, Interval, Registry, SeriesId, SeriesLimit, Shard, Tags, Totals, Unit,
};
use kperf_plugin::{Event, Facts, Incident, ScenarioWindow, Window};
use kperf_schedule::{LoadLevel, Pacer};
use tokio::sync::{mpsc, watch};

use super::exports::Exports;
use super::generator::Generator;
use super::interrupts::Interrupts;
use super::reporters::ReporterHandle;
use super::steering::{Ground, Steering};
use super::worker::{Message, unix_ns};
use crate::plan::{Plan, PlannedScenario, PlannedThreshold};
use crate::report::{self, Journal, ScenarioChange, ThresholdChange, ThresholdState};
use crate::terminal::{Live, Standing};

/// Workers hand over at each full second; so much later their samples are here.
const SETTLE: Duration = Duration::from_millis(200);
/// How often capacity searches are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long workers that were told to drop everything may take for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the load phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoadEnd {
    /// All scenarios came to their end.
    Done,
    /// Stopped by the user; running iterations ended in order.
    Stopped,
    /// The user left at once.
    Abandoned,
}

/// A scenario as the monitor sees it.
struct Watched<'a> {
    plan: &'a PlannedScenario,
    pacer: Pacer,
    progress: Vec<Arc<Progress>>,
    /// Workers that are not done.
    working: usize,
    started: bool,
    finished: Option<Duration>,
    vus: SeriesId,
    vus_max: SeriesId,
    dropped: SeriesId,
    seen: Counts,
    rate: f64,
    failed: u64,
    p95: Option<f64>,
    thresholds: Vec<Judged<'a>>,
    search: Option<Steering<'a>>,
    capacity: SeriesId,
}

/// A threshold and how it stood last.
struct Judged<'a> {
    threshold: &'a PlannedThreshold,
    breached: bool,
}

impl<'a> Judged<'a> {
    fn all(thresholds: &'a [PlannedThreshold]) -> Vec<Self> {
        thresholds.iter().map(|threshold| Self { threshold, breached: false }).collect()
    }
}

/// See the module.
pub(super) struct Monitor<'a> {
    pub(super) journal: Journal,
    registry: Registry,
    totals: Totals,
    shard: Shard,
    epoch: Instant,
    epoch_unix_ns: u64,
    scenarios: Vec<Watched<'a>>,
    thresholds: Vec<Judged<'a>>,
    reporters: Vec<ReporterHandle>,
    messages: mpsc::UnboundedReceiver<Message>,
    incidents: &'a mut mpsc::UnboundedReceiver<Incident>,
    facts: Facts,
    signal: watch::Sender<Signal>,
    pending: Option<Interval>,
    generator: Generator,
    exports: &'a Exports,
}

/// What the monitor is given.
pub(super) struct Brief<'a> {
    pub(super) journal: Journal,
    pub(super) registry: Registry,
    pub(super) plan: &'a Plan,
    /// When load starts.
    pub(super) epoch: Instant,
    /// Per scenario, of each worker.
    pub(super) progress: Vec<Vec<Arc<Progress>>>,
    /// Per scenario, of all its workers.
    pub(super) shares: Vec<Arc<Shared>>,
    pub(super) reporters: Vec<ReporterHandle>,
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    pub(super) incidents: &'a mut mpsc::UnboundedReceiver<Incident>,
    pub(super) facts: Facts,
    pub(super) signal: watch::Sender<Signal>,
    pub(super) exports: &'a Exports,
}

impl<'a> Monitor<'a> {
    pub(super) fn new(brief: Brief<'a>, tags: &[Tags]) -> Result<Self, SeriesLimit> {
        let registry = brief.registry;
        let mut shard = Shard::new(registry.clone(), unix_ns());
        let ahead = brief.epoch.saturating_duration_since(Instant::now());
        let epoch_unix_ns = unix_ns() + u64::try_from(ahead.as_nanos()).unwrap_or(0);
        let mut scenarios = Vec::new();
        let each = brief.plan.scenarios.iter().zip(brief.progress).zip(brief.shares).zip(tags);
        for (((plan, progress), shared), tags) in each {
            let series = |metric: Builtin| registry.series(metric.into(), tags.clone());
            // So that a threshold on failures has something to judge when nothing fails.
            shard.count(series(Builtin::IterationsFailed)?, 0.0);
            scenarios.push(Watched {
                plan,
                pacer: Pacer::new(&plan.schedule.executor),
                working: progress.len(),
                progress,
                started: false,
                finished: None,
                vus: series(Builtin::Vus)?,
                vus_max: series(Builtin::VusMax)?,
                dropped: series(Builtin::DroppedIterations)?,
                seen: Counts::default(),
                rate: 0.0,
                failed: 0,
                p95: None,
                thresholds: Judged::all(&plan.thresholds),
                search: Steering::of(
                    &plan.part.name,
                    &plan.schedule,
                    &plan.criteria,
                    Ground { epoch: brief.epoch, epoch_unix_ns, shared, registry: registry.clone() },
                ),
                capacity: series(Builtin::Capacity)?,
            });
        }
        Ok(Self {
            totals: Totals::new(registry.clone()),
            generator: Generator::new(&registry)?,
            shard,
            registry,
            journal: brief.journal,
            epoch: brief.epoch,
            epoch_unix_ns,
            scenarios,
            thresholds: Judged::all(&brief.plan.thresholds),
            reporters: brief.reporters,
            messages: brief.messages,
            incidents: brief.incidents,
            facts: brief.facts,
            signal: brief.signal,
            exports: brief.exports,
            pending: None,
        })
    }

    /// Watches until every worker is done.
    ///
    /// # Errors
    /// When the journal can't be written; the workers are told to drop everything then.
    pub(super) async fn watch(&mut self, live: &mut Live, interrupts: &Interrupts) -> io::Result<LoadEnd> {
        let watched = self.watch_until_done(live, interrupts).await;
        if watched.is_err() {
            self.signal.send_replace(Signal::Abort);
            self.wait_for_workers().await;
        }
        watched
    }

    /// Waits until no worker can create anything more on a target, so that what is removed next stays removed.
    async fn wait_for_workers(&mut self) {
        let mut working: usize = self.scenarios.iter().map(|scenario| scenario.working).sum();
        while working > 0 {
            match tokio::time::timeout(PATIENCE, self.messages.recv()).await {
                Ok(Some(Message::Done { .. })) => working -= 1,
                Ok(Some(Message::Samples(_) | Message::Records(_))) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn watch_until_done(&mut self, live: &mut Live, interrupts: &Interrupts) -> io::Result<LoadEnd> {
        self.tell(&Event::RunStarted);
        let first = tokio::time::Instant::from_std(self.epoch) + Duration::from_secs(1) + SETTLE;
        let mut seconds = tokio::time::interval_at(first, Duration::from_secs(1));
        seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let searching = self.scenarios.iter().any(|scenario| scenario.search.is_some());
        let mut stopping = false;
        while self.scenarios.iter().any(|scenario| scenario.working > 0) {
            tokio::select! {
                biased;
                () = interrupts.twice() => {
                    self.signal.send_replace(Signal::Abort);
                    self.second()?;
                    return Ok(LoadEnd::Abandoned);
                }
                () = interrupts.once(), if !stopping => {
                    stopping = true;
                    self.signal.send_replace(Signal::GracefulStop);
                    crate::terminal::note("\nstopping: running iterations may end; once more to leave at once");
                }
                message = self.messages.recv() => match message {
                    Some(message) => self.take(message)?,
                    None => break,
                },
                _ = looks.tick(), if searching => self.steer(live)?,
                _ = seconds.tick() => {
                    self.second()?;
                    live.show(&self.standings());
                }
            }
        }
        self.second()?;
        Ok(if stopping { LoadEnd::Stopped } else { LoadEnd::Done })
    }

    /// When load ran, and when each scenario that began made its part of it.
    pub(super) fn window(&self) -> Window {
        let end = unix_ns();
        let at =
            |since: Duration| self.epoch_unix_ns.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        let begun = self.scenarios.iter().filter(|scenario| scenario.started);
        let scenarios = begun.map(|scenario| ScenarioWindow {
            scenario: scenario.plan.part.name.clone(),
            start: at(scenario.plan.schedule.start),
            end: scenario.finished.map_or(end, at),
        });
        Window { start: self.epoch_unix_ns, end, scenarios: scenarios.collect() }
    }

    /// Takes in what collectors have sent and incidents that came after the last worker was done, and gives back what the
    /// end of the run needs.
    pub(super) fn close(mut self) -> io::Result<(Journal, Vec<ReporterHandle>)> {
        while let Ok(message) = self.messages.try_recv() {
            self.take(message)?;
        }
        self.second()?;
        Ok((self.journal, self.reporters))
    }

    fn take(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Samples(interval) => {
                for search in self.scenarios.iter_mut().filter_map(|scenario| scenario.search.as_mut()) {
                    search.samples(&interval);
                }
                match &mut self.pending {
                    Some(pending) => pending.merge(interval),
                    none => *none = Some(interval),
                }
            }
            Message::Records(rows) => self.journal.records(&rows)?,
            Message::Done { scenario, error } => {
                let Some(watched) = self.scenarios.get_mut(scenario) else { return Ok(()) };
                watched.working = watched.working.saturating_sub(1);
                let name = watched.plan.part.name.clone();
                if let Some(message) = error {
                    tracing::error!("scenario {name}: {message}");
                    self.journal.incident(report::Incident {
                        source: name.clone(),
                        kind: "worker-failed".to_owned(),
                        message,
                        count: 1,
                    })?;
                }
                if watched.working == 0 {
                    let now = Instant::now();
                    watched.finished = Some(now.saturating_duration_since(self.epoch));
                    let mut elapsed = now.saturating_duration_since(self.epoch + watched.plan.schedule.start);
                    if watched.plan.schedule.executor.is_open() && watched.search.is_none() {
                        // Arrivals came for so long; what the last ones took beyond that is no part of their rate.
                        elapsed = elapsed.min(watched.pacer.total_duration());
                    }
                    let change = ScenarioChange::Finished {
                        scenario: name.clone(),
                        unix_ns: unix_ns(),
                        elapsed_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
                        interrupted: watched.counts().interrupted,
                    };
                    self.start_those_due()?;
                    self.journal.scenario(change)?;
                    self.tell(&Event::ScenarioFinished(name));
                }
            }
        }
        Ok(())
    }

    /// Lets capacity searches go on.
    fn steer(&mut self, live: &Live) -> io::Result<()> {
        if *self.signal.borrow() != Signal::Continue {
            return Ok(());
        }
        let now = Instant::now();
        for scenario in &mut self.scenarios {
            let counts = scenario.counts();
            let Some(search) = &mut scenario.search else { continue };
            let Some(change) = search.look(now, counts) else { continue };
            if let Some(step) = &change.step {
                live.step(&change.scenario, step);
            }
            if let Some(capacity) = search.capacity() {
                self.shard.gauge(scenario.capacity, capacity);
            }
            self.journal.capacity(change)?;
        }
        Ok(())
    }

    /// What is done once a second.
    fn second(&mut self) -> io::Result<()> {
        self.start_those_due()?;
        self.gather();
        self.generator.look(&mut self.shard);
        let mut interval = self.shard.take(unix_ns());
        if let Some(pending) = self.pending.take() {
            self.look(&pending);
            interval.merge(pending);
        }
        self.totals.add(&interval);
        self.journal.interval(&self.registry, &interval)?;
        self.exports.interval(&self.registry, &interval);
        while let Ok(incident) = self.incidents.try_recv() {
            self.note(incident)?;
        }
        self.journal.facts(self.facts.take())?;
        self.judge()
    }

    fn start_those_due(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for scenario in &mut self.scenarios {
            let start = scenario.plan.schedule.start;
            if !scenario.started && now >= self.epoch + start {
                scenario.started = true;
                let since = u64::try_from(start.as_nanos()).unwrap_or(u64::MAX);
                self.journal.scenario(ScenarioChange::Started {
                    scenario: scenario.plan.part.name.clone(),
                    unix_ns: self.epoch_unix_ns.saturating_add(since),
                })?;
            }
        }
        Ok(())
    }

    /// Records what only the sum over a scenario's workers says.
    fn gather(&mut self) {
        for scenario in &mut self.scenarios {
            let counts = scenario.counts();
            self.shard.gauge(scenario.vus, f64::from(counts.active));
            self.shard.gauge(scenario.vus_max, f64::from(scenario.plan.schedule.executor.max_users()));
            self.shard.count(scenario.dropped, counts.dropped.saturating_sub(scenario.seen.dropped) as f64);
            scenario.rate = counts.finished.saturating_sub(scenario.seen.finished) as f64;
            scenario.seen = counts;
        }
    }

    /// Looks at what the last second's samples say for the live display.
    fn look(&mut self, interval: &Interval) {
        let mut latencies: Vec<Option<Histogram>> = vec![None; self.scenarios.len()];
        for (id, delta) in interval.iter() {
            let Some(info) = self.registry.info(id) else { continue };
            let Some(name) = info.tags.get("scenario") else { continue };
            let place = self.scenarios.iter().position(|scenario| scenario.plan.part.name == name);
            let Some((scenario, latency)) =
                place.and_then(|at| Some((self.scenarios.get_mut(at)?, latencies.get_mut(at)?)))
            else {
                continue;
            };
            match delta {
                Delta::Counter(count) if &*info.metric.name == Builtin::IterationsFailed.name() => {
                    scenario.failed += *count as u64;
                }
                Delta::Distribution(histogram) if &*info.metric.name == Builtin::HttpReqDuration.name() => {
                    latency.get_or_insert_with(|| Histogram::new(Unit::Seconds)).merge(histogram);
                }
                _ => {}
            }
        }
        for (scenario, latency) in self.scenarios.iter_mut().zip(latencies) {
            scenario.p95 = latency.map(|histogram| histogram.percentile(95.0)).or(scenario.p95);
        }
    }

    fn note(&mut self, incident: Incident) -> io::Result<()> {
        self.journal.incident(told(incident))
    }

    /// Judges every threshold on what there is so far, and stops the run where a breach is to do that.
    fn judge(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let (mut changes, mut abort) = (Vec::new(), false);
        let since = now.saturating_duration_since(self.epoch);
        let ends: Vec<_> = self.scenarios.iter().map(|scenario| scenario.elapsed(self.epoch, now)).collect();
        let scenarios = self.scenarios.iter_mut().zip(ends);
        let groups = scenarios
            .map(|(scenario, elapsed)| (scenario.plan.part.name.as_str(), elapsed, &mut scenario.thresholds))
            .chain([("", since, &mut self.thresholds)]);
        for (name, elapsed, thresholds) in groups {
            for judged in thresholds.iter_mut() {
                let (breached, value) = match judged.threshold.threshold.evaluate(&self.totals, elapsed) {
                    Evaluation::Pass(value) => (false, value),
                    Evaluation::Breach(value) => (true, value),
                    Evaluation::NoSamples => continue,
                };
                let aborts = breached && judged.threshold.abort.is_some_and(|after| elapsed >= after);
                if breached != judged.breached || aborts {
                    judged.breached = breached;
                    let state = match (aborts, breached) {
                        (true, _) => ThresholdState::Aborted,
                        (false, true) => ThresholdState::Breached,
                        (false, false) => ThresholdState::Recovered,
                    };
                    let PlannedThreshold { text, threshold, severity, unit, .. } = judged.threshold;
                    let change = kperf_plugin::ThresholdChange {
                        scenario: name.to_owned(),
                        threshold: text.clone(),
                        value,
                        limit: threshold.bound(),
                        unit: *unit,
                        severity: *severity,
                        at: unix_ns(),
                    };
                    changes.push((change, state));
                }
                abort |= aborts;
            }
        }
        if abort && *self.signal.borrow() != Signal::Continue {
            return Ok(());
        }
        for (change, state) in changes {
            self.tell(&match state {
                ThresholdState::Recovered => Event::ThresholdRecovered(change.clone()),
                ThresholdState::Breached | ThresholdState::Aborted => Event::ThresholdBreached(change.clone()),
            });
            if state == ThresholdState::Aborted {
                tracing::warn!("ending the run: `{}` is breached", change.threshold);
            }
            let kperf_plugin::ThresholdChange { scenario, threshold, value, at, .. } = change;
            self.journal.threshold(ThresholdChange { scenario, threshold, state, value, unix_ns: at })?;
        }
        self.reporters.iter_mut().for_each(ReporterHandle::tick);
        if abort {
            self.signal.send_replace(Signal::GracefulStop);
        }
        Ok(())
    }

    fn tell(&mut self, event: &Event) {
        for reporter in &mut self.reporters {
            reporter.event(event);
        }
    }

    fn standings(&self) -> Vec<Standing> {
        let now = Instant::now();
        let stopping = *self.signal.borrow() != Signal::Continue;
        self.scenarios.iter().map(|scenario| scenario.standing(self.epoch, now, stopping)).collect()
    }
}

/// Logs a plugin's incident and makes it one of the report.
pub(super) fn told(incident: Incident) -> report::Incident {
    if !incident.message.is_empty() {
        tracing::warn!("{}: {}: {}", incident.source, incident.kind, incident.message);
    }
    report::Incident {
        source: incident.source.to_string(),
        kind: incident.kind.to_string(),
        message: incident.message,
        count: incident.count,
    }
}

impl Watched<'_> {
    fn counts(&self) -> Counts {
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

    /// How long the scenario has made load, at the most until it was finished.
    fn elapsed(&self, epoch: Instant, now: Instant) -> Duration {
        let since = now.saturating_duration_since(epoch);
        self.finished.map_or(since, |finished| finished.min(since)).saturating_sub(self.plan.schedule.start)
    }

    fn standing(&self, epoch: Instant, now: Instant, stopping: bool) -> Standing {
        let elapsed = self.elapsed(epoch, now);
        let planned = self.pacer.total_duration();
        let stage = self.pacer.stage(elapsed);
        let counts = self.seen;
        let state = match (self.finished.is_some(), self.started, stopping || elapsed > planned) {
            (true, ..) => "done",
            (_, false, _) => "waiting",
            (_, _, true) => "stopping",
            _ => "running",
        };
        Standing {
            scenario: self.plan.part.name.clone(),
            state,
            elapsed,
            planned: self.search.is_none().then_some(planned),
            share: match &self.search {
                _ if self.finished.is_some() => 1.0,
                Some(search) => search.share(),
                None => (elapsed.as_secs_f64() / planned.as_secs_f64().max(1e-9)).min(1.0),
            },
            stage: (stage.index + 1, stage.count),
            target: match (&self.search, self.pacer.level(elapsed)) {
                (Some(search), _) => search.doing(),
                (None, LoadLevel::Users(users)) => crate::plan::plural(users, "user"),
                (None, LoadLevel::Arrivals(rate)) => format!("{}/s", crate::terminal::count(rate.as_per_second())),
            },
            users: counts.active.into(),
            iterations: counts.finished,
            failed: self.failed,
            dropped: counts.dropped,
            rate: self.rate,
            p95: self.p95,
        }
    }
}
