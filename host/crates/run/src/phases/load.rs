//! Load: workers drive the scenarios, observers look on, the monitor follows both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_load::{Progress, Shared, Signal, signal_channel};
use kperf_metrics::Incident;
use kperf_plan::Plan;
use kperf_results::{Phase, RunEvent};
use kperf_schedule::Slice;
use tokio::sync::mpsc;

use super::{PreparedScenario, SetupState, fail};
use crate::clock::{nanoseconds, unix_ns};
use crate::interrupts::Interrupts;
use crate::monitor::{LoadEnd, Monitor, Watched, Workers};
use crate::observers::{ObserverFailed, Observers};
use crate::session::{Session, ThreadEnvironment};
use crate::stream::EventStream;
use crate::thread::give_way;
use crate::workers::{self, Assignment};

/// Workers get ready before load starts, so that the first second is like the others.
const LEAD: Duration = Duration::from_millis(100);

/// The load of all scenarios.
pub(crate) struct Load<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) session: &'a Session<'a>,
    pub(crate) stream: &'a EventStream,
    pub(crate) interrupts: &'a Interrupts,
    pub(crate) run: &'a str,
}

impl Load<'_> {
    /// Makes load until every worker is done.
    pub(crate) async fn run(&self, scenarios: &[PreparedScenario<'_>]) -> LoadEnd {
        let (messages, inbox) = mpsc::unbounded_channel();
        let observers = tokio::select! {
            observers = Observers::start(self.plan, self.session, self.run, self.stream, &messages) => observers,
            () = self.interrupts.once() => return LoadEnd::InOrder,
        };
        let mut observers = match observers {
            Ok(observers) => observers,
            Err(ObserverFailed { name, message }) => {
                let _ = fail(self.stream, Phase::Setup, &name, "start", message);
                return LoadEnd::NotReady;
            }
        };
        let epoch = Instant::now() + LEAD;
        let (signal, signals) = signal_channel();
        let mut watched = Vec::new();
        for (number, scenario) in scenarios.iter().enumerate() {
            let shared = Arc::new(Shared::new(epoch));
            let mut progress = Vec::new();
            for index in 0..scenario.plan.workers {
                let Ok(slice) = Slice::new(index, scenario.plan.workers) else { continue };
                let of_worker = Arc::<Progress>::default();
                progress.push(Arc::clone(&of_worker));
                let started = workers::start(Assignment {
                    scenario: number,
                    slice,
                    schedule: scenario.plan.schedule.clone(),
                    shared: Arc::clone(&shared),
                    signals: signals.clone(),
                    progress: of_worker,
                    plugin: scenario.plan.plugin.component.clone(),
                    context: Arc::clone(&scenario.context),
                    state: if let SetupState::Done(state) = &scenario.setup {
                        Arc::clone(state)
                    } else {
                        Arc::default()
                    },
                    threads: ThreadEnvironment { epoch, ..scenario.threads.clone() },
                    messages: messages.clone(),
                });
                if let Err(error) = started {
                    signal.send_replace(Signal::Abort);
                    let message = format!("can't start a thread: {error}");
                    let _ = fail(self.stream, Phase::Load, "host", "worker-failed", message);
                    return LoadEnd::NotReady;
                }
            }
            watched.push(Watched::new(
                scenario.plan,
                epoch,
                progress,
                shared,
                &self.session.registry,
                &scenario.context.tags,
            ));
        }
        drop(messages);
        observers.begin(epoch);
        give_way();
        let start = unix_ns() + nanoseconds(epoch.saturating_duration_since(Instant::now()));
        let workers = Workers { epoch, epoch_unix_ns: start, signal, messages: inbox };
        let watched = watched.into_iter().collect::<Result<Vec<_>, _>>();
        let monitor = watched.and_then(|watched| Monitor::new(self.plan, self.session, self.stream, watched, workers));
        let mut monitor = match monitor {
            Ok(monitor) => monitor,
            Err(limit) => {
                let _ = fail(self.stream, Phase::Load, "host", "series-limit", limit.to_string());
                return LoadEnd::NotReady;
            }
        };
        self.stream.emit(RunEvent::LoadStarted { unix_ns: start });
        if monitor.watch(self.interrupts).await == LoadEnd::LeftAtOnce {
            return LoadEnd::LeftAtOnce;
        }
        let failures = tokio::select! {
            failures = observers.finish(monitor.window()) => failures,
            () = self.interrupts.twice() => return LoadEnd::LeftAtOnce,
        };
        monitor.close();
        for message in failures {
            self.stream.emit(RunEvent::Incident(Incident::once("collector", "finish", message)));
        }
        LoadEnd::InOrder
    }
}
