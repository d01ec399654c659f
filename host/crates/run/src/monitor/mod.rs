//! The monitor: takes in what workers and collectors measured, once a second; judges thresholds, steers capacity searches, and emits
//! what happens. It only reads what the workers send, so that it can't slow them.

mod generator;
mod judge;
mod watched;

use std::time::{Duration, Instant};

use kperf_load::Signal;
use kperf_metrics::{Incident, Interval, Registry, SeriesLimit, Shard, ThresholdState};
use kperf_plan::Plan;
use kperf_plugin::{Facts, ScenarioWindow, Window};
use kperf_results::{Merged, Phase, RunEvent, ScenarioChange};
use tokio::sync::{mpsc, watch};

use self::generator::Generator;
use self::judge::{Judged, judge};
pub(crate) use self::watched::Watched;
use crate::clock::{nanoseconds, unix_ns};
use crate::interrupts::Interrupts;
use crate::session::Session;
use crate::stream::EventStream;
use crate::workers::Message;

/// Workers hand over at each full second; so much later their samples are here.
const SETTLE: Duration = Duration::from_millis(200);
/// How often capacity searches are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How the load phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadEnd {
    /// All scenarios came to their end, or were asked to come to it; running iterations ended in order.
    InOrder,
    /// Load could not start; the reason has been emitted.
    NotReady,
    /// The user left at once.
    LeftAtOnce,
}

/// What the workers of a run have in common.
pub(crate) struct Workers {
    /// When load starts.
    pub(crate) epoch: Instant,
    /// The same in nanoseconds since the Unix epoch.
    pub(crate) epoch_unix_ns: u64,
    /// What they are to do.
    pub(crate) signal: watch::Sender<Signal>,
    /// What they and the collectors send.
    pub(crate) messages: mpsc::UnboundedReceiver<Message>,
}

/// See the module.
pub(crate) struct Monitor<'a> {
    stream: &'a EventStream,
    registry: Registry,
    shard: Shard,
    workers: Workers,
    scenarios: Vec<Watched<'a>>,
    thresholds: Vec<Judged<'a>>,
    facts: Facts,
    pending: Option<Interval>,
    generator: Generator,
}

impl<'a> Monitor<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        session: &Session<'_>,
        stream: &'a EventStream,
        mut scenarios: Vec<Watched<'a>>,
        workers: Workers,
    ) -> Result<Self, SeriesLimit> {
        let registry = session.registry.clone();
        let mut shard = Shard::new(registry.clone(), unix_ns());
        for scenario in &mut scenarios {
            scenario.begin(&mut shard, workers.epoch_unix_ns);
        }
        Ok(Self {
            stream,
            generator: Generator::new(&registry)?,
            registry,
            shard,
            workers,
            scenarios,
            thresholds: Judged::all(&plan.thresholds),
            facts: session.facts.clone(),
            pending: None,
        })
    }

    /// Watches until every worker is done. When the journal breaks, the run is asked to end in order.
    pub(crate) async fn watch(&mut self, interrupts: &Interrupts) -> LoadEnd {
        let first = tokio::time::Instant::from_std(self.workers.epoch) + Duration::from_secs(1) + SETTLE;
        let mut seconds = tokio::time::interval_at(first, Duration::from_secs(1));
        seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let searching = self.scenarios.iter().any(Watched::is_searching);
        let (mut stopping, mut broken) = (false, false);
        while self.scenarios.iter().any(|scenario| scenario.working > 0) {
            tokio::select! {
                biased;
                () = interrupts.twice() => {
                    self.workers.signal.send_replace(Signal::Abort);
                    self.second();
                    return LoadEnd::LeftAtOnce;
                }
                () = interrupts.once(), if !stopping => {
                    stopping = true;
                    self.stop();
                    self.stream.emit(RunEvent::Interrupted { phase: Phase::Load });
                }
                () = self.stream.broken(), if !broken => {
                    broken = true;
                    self.stop();
                }
                message = self.workers.messages.recv() => match message {
                    Some(message) => self.take(message),
                    None => break,
                },
                _ = looks.tick(), if searching => self.advance_searches(),
                _ = seconds.tick() => {
                    self.second();
                    self.show();
                }
            }
        }
        self.second();
        LoadEnd::InOrder
    }

    fn stop(&self) {
        self.workers.signal.send_replace(Signal::GracefulStop);
    }

    /// When load ran, and when each scenario that began made its part of it.
    pub(crate) fn window(&self) -> Window {
        let end = unix_ns();
        let begun = self.scenarios.iter().filter(|scenario| scenario.started);
        let scenarios = begun.map(|scenario| ScenarioWindow {
            scenario: scenario.plan.plugin.name.clone(),
            start: self.at(scenario.plan.schedule.start),
            end: scenario.finished.map_or(end, |since| self.at(since)),
        });
        Window { start: self.workers.epoch_unix_ns, end, scenarios: scenarios.collect() }
    }

    /// Takes in what collectors have sent and incidents that came after the last worker was done.
    pub(crate) fn close(mut self) {
        while let Ok(message) = self.workers.messages.try_recv() {
            self.take(message);
        }
        self.second();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Samples(interval) => {
                for scenario in &mut self.scenarios {
                    scenario.samples(&interval);
                }
                match &mut self.pending {
                    Some(pending) => pending.merge(interval),
                    none => *none = Some(interval),
                }
            }
            Message::Records(rows) => self.stream.emit(RunEvent::Records(rows)),
            Message::Done { scenario, error } => {
                let Some(watched) = self.scenarios.get_mut(scenario) else { return };
                if let Some(error) = error {
                    tracing::error!("scenario {}: {error}", watched.name());
                    let incident = Incident::once(watched.name(), "worker-failed", error.to_string());
                    self.stream.emit(RunEvent::Incident(incident));
                }
                if let Some(change) = watched.worker_done(self.workers.epoch) {
                    self.start_those_due();
                    self.stream.emit(RunEvent::Scenario(change));
                }
            }
        }
    }

    /// Lets capacity searches go on.
    fn advance_searches(&mut self) {
        if *self.workers.signal.borrow() != Signal::Continue {
            return;
        }
        let now = Instant::now();
        for scenario in &mut self.scenarios {
            if let Some(change) = scenario.advance_search(now, &mut self.shard) {
                self.stream.emit(RunEvent::Capacity(Box::new(change)));
            }
        }
    }

    /// What is done once a second.
    fn second(&mut self) {
        self.start_those_due();
        for scenario in &mut self.scenarios {
            scenario.gather(&mut self.shard);
        }
        self.generator.look(&mut self.shard);
        let mut interval = self.shard.take(unix_ns());
        if let Some(pending) = self.pending.take() {
            for scenario in &mut self.scenarios {
                scenario.look(&self.registry, &pending);
            }
            interval.merge(pending);
        }
        self.stream.emit(RunEvent::Merged(Merged { registry: self.registry.clone(), interval }));
        self.stream.emit_reported();
        for fact in self.facts.take() {
            self.stream.emit(RunEvent::Fact(fact));
        }
        self.judge();
    }

    fn start_those_due(&mut self) {
        let now = Instant::now();
        for scenario in &mut self.scenarios {
            if let Some(since) = scenario.start_if_due(now, self.workers.epoch) {
                let unix_ns = self.workers.epoch_unix_ns.saturating_add(nanoseconds(since));
                let scenario = scenario.name().to_owned();
                self.stream.emit(RunEvent::Scenario(ScenarioChange::Started { scenario, unix_ns }));
            }
        }
    }

    /// Judges every threshold on what there is so far, and stops the run where a breach is to do that.
    fn judge(&mut self) {
        let groups =
            self.scenarios.iter_mut().map(|scenario| (scenario.plan.plugin.name.as_str(), &mut scenario.thresholds));
        let groups = groups.chain([("", &mut self.thresholds)]);
        let changes = self.stream.fold(|fold| judge(fold, groups, unix_ns()));
        let aborts = |state| state == ThresholdState::Aborted;
        let abort = changes.iter().any(|change| aborts(change.state));
        if abort && *self.workers.signal.borrow() != Signal::Continue {
            return;
        }
        for change in changes {
            if aborts(change.state) {
                tracing::warn!("ending the run: `{}` is breached", change.threshold);
            }
            self.stream.emit(RunEvent::Threshold(change));
        }
        if abort {
            self.stop();
        }
    }

    fn show(&self) {
        let stopping = *self.workers.signal.borrow() != Signal::Continue;
        let progress = self
            .stream
            .fold(|fold| self.scenarios.iter().map(|scenario| scenario.progress(fold.times(), stopping)).collect());
        self.stream.emit(RunEvent::Progress(progress));
    }

    /// An instant so long after the start of load, in nanoseconds since the Unix epoch.
    fn at(&self, since: Duration) -> u64 {
        self.workers.epoch_unix_ns.saturating_add(nanoseconds(since))
    }
}
