//! What looks on while load is made: collectors, in the sandbox and outside. Each has a thread of its own, so that a slow or
//! spinning one slows nobody; samples take the same way as those of workers.

mod collector;
mod native;

use std::time::Instant;

use kperf_metrics::Tags;
use kperf_plan::Plan;
use kperf_plugin::Window;
use tokio::sync::mpsc;

use self::native::{NativeHandle, NativeStart};
use crate::session::Session;
use crate::stream::EventStream;
use crate::tables;
use crate::workers::Message;

use collector::{CollectorHandle, ObserverTask};

/// An observer that can't start.
pub(crate) struct ObserverFailed {
    /// Its name in the suite.
    pub(crate) name: String,
    /// What went wrong, for people.
    pub(crate) message: String,
}

/// The observers of a run.
pub(crate) struct Observers {
    collectors: Vec<CollectorHandle>,
    natives: Vec<NativeHandle>,
}

impl Observers {
    /// Starts the suite's collectors.
    ///
    /// # Errors
    /// Which one can't start, and why.
    pub(crate) async fn start(
        plan: &Plan,
        session: &Session<'_>,
        run: &str,
        stream: &EventStream,
        messages: &mpsc::UnboundedSender<Message>,
    ) -> Result<Self, ObserverFailed> {
        let mut collectors = Vec::new();
        let place = plan.scenarios.len();
        for (at, (planned, collector)) in plan.collectors.iter().zip(&plan.suite.collectors).enumerate() {
            let failed = |message: String| ObserverFailed { name: planned.name.clone(), message };
            let tags = Tags::new([("collector", planned.name.as_str())]);
            let environment = session.environment(planned, &collector.plugin, tags);
            let (mut context, threads) = environment.map_err(|error| failed(error.to_string()))?;
            context.tables = Some(tables::first(plan, place + at));
            let task = ObserverTask { plugin: planned.component.clone(), context, threads };
            let started = CollectorHandle::start(task, collector.interval, collector.deadline, messages.clone()).await;
            collectors.push(started.map_err(failed)?);
        }
        let natives = NativeStart { plan, session, run, stream, messages }.all().await?;
        Ok(Self { collectors, natives })
    }

    /// Tells the collectors when load starts: that is when they observe for the first time.
    pub(crate) fn begin(&mut self, epoch: Instant) {
        self.collectors.iter_mut().for_each(|collector| collector.begin(epoch));
    }

    /// Tells all when load ran and waits for what they still have to say. Gives what went wrong.
    pub(crate) async fn finish(self, window: Window) -> Vec<String> {
        // All at the same time: their deadlines count from the end of load.
        let finished = self.collectors.into_iter().map(|collector| collector.finish(window.clone()));
        let finished = futures_util::future::join_all(finished).await;
        let failures = finished.into_iter().filter_map(Result::err).collect();
        for native in self.natives {
            native.finish(window.start, window.end).await;
        }
        failures
    }
}
