//! Native collectors: each on a thread that asks it on the suite's interval. Its samples take the same way as those of plugins in
//! the sandbox, under the same limits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use kperf_metrics::{CheckOutcome, Incident, MetricConflict, MetricId, PreflightCheck, SeriesId, Shard, Tags};
use kperf_native::{CALL_LIMIT, Collection, CollectorThread, Failure, Level, Observations, Sample};
use kperf_plan::{Plan, PlannedNative};
use kperf_plugin::{Incidents, Redactor};
use kperf_results::RunEvent;
use kperf_suite::NativeCollector;
use tokio::sync::{mpsc as messages, oneshot};

use super::ObserverFailed;
use crate::clock::unix_ns;
use crate::session::Session;
use crate::stream::EventStream;
use crate::workers::Message;

/// Keys that the host sets.
const RESERVED: [&str; 7] = ["scenario", "collector", "operation", "status", "method", "check", "kind"];
/// The longest value of a tag in bytes.
const LONGEST_VALUE: usize = 256;

/// A native collector at work.
pub(crate) struct NativeHandle {
    finish: mpsc::Sender<(u64, u64)>,
    ended: oneshot::Receiver<()>,
}

impl NativeHandle {
    /// Tells the collector when load ran (nanoseconds since the Unix epoch) and waits for what it still has to say.
    pub(crate) async fn finish(self, start: u64, end: u64) {
        // One that was given up does not listen, and has ended.
        let _ = self.finish.send((start, end));
        let _ = self.ended.await;
    }
}

/// Why a native collector can't start.
#[derive(Debug, thiserror::Error)]
enum NativeError {
    /// It says so, or did not answer in time.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// Its description and another plugin's differ about a metric.
    #[error(transparent)]
    Metric(#[from] MetricConflict),
    #[error("can't start a thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error("starting it broke down: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// What native collectors are started with.
pub(crate) struct NativeStart<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) session: &'a Session<'a>,
    pub(crate) run: &'a str,
    pub(crate) stream: &'a EventStream,
    pub(crate) messages: &'a messages::UnboundedSender<Message>,
}

impl NativeStart<'_> {
    /// Starts the native collectors. What is not available here is named and left out unless it is required.
    ///
    /// # Errors
    /// Which one can't start, and why.
    pub(crate) async fn all(&self) -> Result<Vec<NativeHandle>, ObserverFailed> {
        let mut handles = Vec::new();
        for (planned, wanted) in self.plan.natives.iter().zip(&self.plan.suite.natives) {
            let failed = |error: NativeError| ObserverFailed { name: planned.name.clone(), message: error.to_string() };
            handles.extend(self.one(planned, wanted).await.map_err(failed)?);
        }
        Ok(handles)
    }

    async fn one(
        &self,
        planned: &PlannedNative,
        wanted: &NativeCollector,
    ) -> Result<Option<NativeHandle>, NativeError> {
        let name = planned.name.clone();
        let collection = Collection {
            name: name.clone(),
            mode: planned.mode.clone(),
            parameters: planned.params.json.clone(),
            run: self.run.to_owned(),
            folder: self.plan.folder.display().to_string(),
        };
        let plugin = planned.plugin.clone();
        let started = tokio::task::spawn_blocking(move || plugin.start(collection, CALL_LIMIT)).await;
        let (thread, observations) = match started? {
            Ok(started) => started,
            Err(failure @ Failure::Unavailable(_)) if !wanted.required => {
                let message = failure.to_string();
                let check =
                    PreflightCheck { name: String::new(), outcome: CheckOutcome::Warn, message: message.clone() };
                self.stream.emit(RunEvent::Preflight { scenario: name.clone(), check });
                self.session.incidents.report(incident(&name, failure.kind(), message));
                return Ok(None);
            }
            Err(failure) => return Err(failure.into()),
        };
        let limits = &wanted.plugin.limits;
        let each = wanted.interval.as_secs_f64().max(1.0);
        let most = (limits.samples.as_per_second() * each) as usize;
        let recorder = NativeRecorder::new(planned, self.session, self.messages.clone(), most)?;
        recorder.log(observations);
        Ok(Some(watch(&name, thread, recorder, wanted.interval)?))
    }
}

fn incident(source: &str, kind: &str, message: String) -> Incident {
    Incident::once(source, kind, message)
}

/// Asks a collector on an interval until the end is told, or it is given up.
fn watch(
    name: &str,
    mut thread: CollectorThread,
    mut recorder: NativeRecorder,
    interval: Duration,
) -> std::io::Result<NativeHandle> {
    let (finish, finished) = mpsc::channel();
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new().name(format!("{name} (ask)")).spawn(move || {
        let mut next = Instant::now();
        let window: (u64, u64) = loop {
            match finished.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(window) => break window,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let (result, observations) = thread.collect();
            recorder.take(result, observations);
            if thread.is_lost() {
                return;
            }
            // What took too long is not made up for.
            next = (next + interval).max(Instant::now());
        };
        let (result, observations) = thread.finish(window.0, window.1);
        recorder.take(result, observations);
        // Dropped in any case, which is the answer.
        drop(end);
    })?;
    Ok(NativeHandle { finish, ended })
}

/// A metric with a sample's own tags.
type Key = (String, Vec<(String, String)>);

/// Where a collector's samples go.
struct NativeRecorder {
    name: Arc<str>,
    base: Tags,
    metrics: HashMap<String, MetricId>,
    /// None for what was refused, so that it is told once.
    series: HashMap<Key, Option<SeriesId>>,
    registry: kperf_metrics::Registry,
    incidents: Incidents,
    redactor: Redactor,
    messages: messages::UnboundedSender<Message>,
    /// Samples of one observation.
    most: usize,
}

impl NativeRecorder {
    fn new(
        planned: &PlannedNative,
        session: &Session<'_>,
        messages: messages::UnboundedSender<Message>,
        most: usize,
    ) -> Result<Self, MetricConflict> {
        let registry = session.registry.clone();
        let mut metrics = HashMap::new();
        for def in &planned.plugin.description().metrics {
            metrics.insert(def.name.to_string(), registry.metric(def)?);
        }
        Ok(Self {
            name: planned.name.as_str().into(),
            base: Tags::new([("collector", planned.name.as_str())]),
            metrics,
            series: HashMap::new(),
            registry,
            incidents: session.incidents.clone(),
            redactor: session.redactor().clone(),
            messages,
            most,
        })
    }

    fn report(&self, kind: &str, message: &str, count: u64) {
        let message = self.redactor.redact(message).into_owned();
        self.incidents.report(Incident { count, ..incident(&self.name, kind, message) });
    }

    fn log(&self, observations: Observations) {
        for (level, line) in observations.lines {
            let (name, line) = (&self.name, self.redactor.redact(&line));
            match level {
                Level::Error => tracing::error!("{name}: {line}"),
                Level::Warn => tracing::warn!("{name}: {line}"),
                Level::Info => tracing::info!("{name}: {line}"),
                Level::Debug => tracing::debug!("{name}: {line}"),
            }
        }
    }

    /// Records what a call brought and how it ended.
    fn take(&mut self, result: Result<(), Failure>, mut observations: Observations) {
        if let Err(failure) = result {
            self.report(failure.kind(), &failure.to_string(), 1);
        }
        let mut shard = Shard::new(self.registry.clone(), unix_ns());
        let beyond = observations.dropped + observations.samples.len().saturating_sub(self.most) as u64;
        if beyond > 0 {
            observations.samples.truncate(self.most);
            shard.drop_samples(beyond);
            let message = format!("more than {} samples in an observation: the rest is dropped", self.most);
            self.report("sample-flood", &message, beyond);
        }
        for Sample { metric, tags, value, unix_ns } in std::mem::take(&mut observations.samples) {
            let Some(series) = self.series(metric, tags) else {
                shard.drop_samples(1);
                continue;
            };
            match unix_ns {
                Some(at) => shard.record_at(series, value, at),
                None => shard.record(series, value),
            }
        }
        self.log(observations);
        let interval = shard.take(unix_ns());
        if !interval.is_empty() {
            // Nobody listens any more once the run has been abandoned.
            let _ = self.messages.send(Message::Samples(interval));
        }
    }

    fn series(&mut self, metric: String, tags: Vec<(String, String)>) -> Option<SeriesId> {
        let key = (metric, tags);
        if let Some(known) = self.series.get(&key) {
            return *known;
        }
        let made = match (self.metrics.get(&key.0), key.1.iter().find(|(name, value)| !is_tag(name, value))) {
            (None, _) => {
                let message = format!("the metric `{}` is not in the collector's description", key.0);
                self.report("undeclared-metric", &message, 1);
                None
            }
            (_, Some((name, _))) => {
                let message = format!(
                    "the tag `{name}` can't be used: keys match [a-z_][a-z0-9_]* and are none of {RESERVED:?}; values have \
                     at most {LONGEST_VALUE} bytes"
                );
                self.report("invalid-sample", &message, 1);
                None
            }
            (Some(metric), None) => {
                let tags = key.1.iter().fold(self.base.clone(), |tags, (name, value)| tags.with(name, value));
                match self.registry.series(*metric, tags) {
                    Ok(series) => Some(series),
                    Err(limit) => {
                        self.report("series-limit", &limit.to_string(), 1);
                        None
                    }
                }
            }
        };
        // What can't be refused again must not grow without end either.
        if made.is_some() || self.series.len() < kperf_metrics::Registry::DEFAULT_LIMIT {
            self.series.insert(key, made);
        }
        made
    }
}

fn is_tag(name: &str, value: &str) -> bool {
    let key = name
        .bytes()
        .enumerate()
        .all(|(at, byte)| byte.is_ascii_lowercase() || byte == b'_' || (at > 0 && byte.is_ascii_digit()));
    key && !name.is_empty() && !RESERVED.contains(&name) && value.len() <= LONGEST_VALUE
}
