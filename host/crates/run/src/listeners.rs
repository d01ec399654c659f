//! The sinks of a run, each on a thread with a bounded queue.
//!
//! In come events that are shared, not copied; out comes nothing: a sink that is slow loses events, which are counted, and one that
//! fails or panics is an incident. Neither can slow or end the run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use kperf_metrics::Incident;
use kperf_plugin::Incidents;
use kperf_results::{RunEvent, Sink, SinkError};
use tokio::sync::{oneshot, watch};

use crate::thread::give_way;

/// Events that a sink may be behind; there are a few each second.
const QUEUE: usize = 256;
/// How long a sink may take for what it has not passed on, unless it says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// Up to when a sink listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// Until nothing more is measured: what goes wrong is in the results.
    Measured,
    /// Until the verdict is known.
    Verdict,
    /// Until everybody else is done.
    Last,
}

/// How a sink is to be treated.
pub(crate) struct Terms {
    /// Up to when it listens.
    pub(crate) until: Until,
    /// Whether the run has failed if it fails.
    pub(crate) required: bool,
    /// How long it may take, once the last event is there, for what it has not passed on.
    pub(crate) patience: Duration,
    /// Told the instant at which it should come to its end, once the last event is there.
    pub(crate) closing: Option<watch::Sender<Option<Instant>>>,
}

impl Terms {
    /// The usual terms for a sink that listens so long.
    pub(crate) fn usual(until: Until) -> Self {
        Self { until, required: false, patience: PATIENCE, closing: None }
    }
}

/// How a sink has ended.
pub(crate) struct SinkEnd {
    pub(crate) name: String,
    pub(crate) required: bool,
    /// The first error.
    pub(crate) result: Result<(), String>,
}

/// A sink and the queue to its thread.
struct Listener {
    name: String,
    terms: Terms,
    queue: SyncSender<Arc<RunEvent>>,
    /// Events that did not fit since this was last told.
    lost: u64,
    ended: oneshot::Receiver<Result<(), String>>,
}

/// See the module.
pub(crate) struct Listeners {
    each: Vec<Listener>,
    incidents: Incidents,
}

/// A sink whose thread makes it ready.
pub(crate) struct Attaching {
    listener: Listener,
    ready: oneshot::Receiver<Result<(), String>>,
}

impl Attaching {
    /// Starts the thread of a sink, which `make` makes there.
    ///
    /// # Errors
    /// When the operating system has no thread for it.
    pub(crate) fn start(
        name: &str,
        terms: Terms,
        incidents: &Incidents,
        make: impl FnOnce() -> Result<Box<dyn Sink>, SinkError> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, events) = sync_channel(QUEUE);
        let (end, ended) = oneshot::channel();
        let (say, ready) = oneshot::channel();
        let listening = Listening { name: name.to_owned(), incidents: incidents.clone() };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            give_way();
            match catch_unwind(AssertUnwindSafe(make)) {
                Ok(Ok(sink)) => {
                    let _ = say.send(Ok(()));
                    // Nobody waits for a sink that was left behind.
                    let _ = end.send(listening.listen(sink, &events));
                }
                Ok(Err(error)) => drop(say.send(Err(error.to_string()))),
                Err(panic) => drop(say.send(Err(text_of(&*panic)))),
            }
        })?;
        Ok(Self { listener: Listener { name: name.to_owned(), terms, queue, lost: 0, ended }, ready })
    }

    /// What the sink is called.
    pub(crate) fn name(&self) -> &str {
        &self.listener.name
    }

    /// Whether the run can't do without it.
    pub(crate) fn is_required(&self) -> bool {
        self.listener.terms.required
    }

    /// Waits until the sink is ready.
    ///
    /// # Errors
    /// Why it can't get ready.
    pub(crate) async fn ready(&mut self) -> Result<(), String> {
        (&mut self.ready).await.unwrap_or_else(|_| Err("it ended without an answer".to_owned()))
    }
}

impl Listeners {
    pub(crate) fn new(incidents: Incidents) -> Self {
        Self { each: Vec::new(), incidents }
    }

    /// Takes a sink in; it gets what is sent from now on.
    pub(crate) fn attach(&mut self, attaching: Attaching) {
        self.each.push(attaching.listener);
    }

    /// Sends an event to every sink that keeps up.
    pub(crate) fn send(&mut self, event: &Arc<RunEvent>) {
        for listener in &mut self.each {
            // Whose thread has ended has said why.
            if let Err(TrySendError::Full(_)) = listener.queue.try_send(Arc::clone(event)) {
                listener.lost += 1;
            }
        }
    }

    /// Reports the events that did not fit since this was last called.
    pub(crate) fn report_lost(&mut self) {
        for Listener { name, lost, .. } in &mut self.each {
            if *lost > 0 {
                let message = "it is too slow for the events of this run".to_owned();
                let (source, kind, count) = (name.clone(), "event-dropped".to_owned(), std::mem::take(lost));
                self.incidents.report(Incident { source, kind, message, count });
            }
        }
    }

    /// Takes out the sinks that listen no longer than `until`, to let them come to their end.
    pub(crate) fn take(&mut self, until: Until) -> Ending {
        self.report_lost();
        let (over, going_on) = std::mem::take(&mut self.each).into_iter().partition(|it| it.terms.until <= until);
        self.each = going_on;
        Ending(over)
    }
}

/// Sinks that have all their events.
pub(crate) struct Ending(Vec<Listener>);

impl Ending {
    /// Waits for each sink as long as it may take; `at_most` cuts that short.
    pub(crate) async fn finish(self, at_most: Option<Duration>) -> Vec<SinkEnd> {
        let now = Instant::now();
        // All are told before the first one is waited for.
        let ending = self.0.into_iter().map(|Listener { name, terms, queue, ended, .. }| {
            let patience = at_most.map_or(terms.patience, |most| most.min(terms.patience));
            if let Some(closing) = &terms.closing {
                closing.send_replace(Some(now + patience * 2 / 3));
            }
            drop(queue);
            (name, terms, patience, ended)
        });
        let ending: Vec<_> = ending.collect();
        let mut ends = Vec::new();
        for (name, terms, patience, ended) in ending {
            let result = match tokio::time::timeout_at((now + patience).into(), ended).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err("it ended without an answer".to_owned()),
                Err(_) => Err("it had not ended when its time was up (`deadline`)".to_owned()),
            };
            ends.push(SinkEnd { name, required: terms.required, result });
        }
        ends
    }
}

/// The thread of a sink.
struct Listening {
    name: String,
    incidents: Incidents,
}

impl Listening {
    /// Hands every event over, then the end. Gives the first error.
    fn listen(&self, mut sink: Box<dyn Sink>, events: &Receiver<Arc<RunEvent>>) -> Result<(), String> {
        let mut result = Ok(());
        while let Ok(event) = events.recv() {
            result = result.and(self.guarded("sink-failed", || sink.event(&event))?);
        }
        result.and(self.guarded("sink-failed", || sink.finish())?)
    }

    /// Runs a call of the sink. The outer error is its panic, after which it is not called again.
    fn guarded(&self, kind: &str, call: impl FnOnce() -> Result<(), SinkError>) -> Result<Result<(), String>, String> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(())) => Ok(Ok(())),
            Ok(Err(error)) => {
                let message = error.to_string();
                self.incidents.report(Incident::once(&self.name, kind, message.clone()));
                Ok(Err(message))
            }
            Err(panic) => {
                let message = text_of(&*panic);
                self.incidents.report(Incident::once(&self.name, "sink-panicked", message.clone()));
                Err(message)
            }
        }
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.map_or_else(|| "it panicked".to_owned(), |text| format!("it panicked: {text}"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Waits at each event until it may go on.
    struct Waiting(Receiver<()>);

    impl Sink for Waiting {
        fn name(&self) -> &str {
            "waiting"
        }

        fn event(&mut self, _: &Arc<RunEvent>) -> Result<(), SinkError> {
            Ok(self.0.recv()?)
        }
    }

    #[test]
    fn what_does_not_fit_is_counted_and_the_rest_arrives() {
        let (incidents, mut reported) = Incidents::channel();
        let (go_on, wait) = mpsc::channel();
        let mut listeners = Listeners::new(incidents.clone());
        let terms = Terms { patience: Duration::from_secs(60), ..Terms::usual(Until::Measured) };
        let sink = Attaching::start("waiting", terms, &incidents, move || Ok(Box::new(Waiting(wait)))).unwrap();
        listeners.attach(sink);
        let event = Arc::new(RunEvent::MatrixPlanned { cells: 1 });
        // One more may be with the sink already.
        (0..QUEUE + 101).for_each(|_| listeners.send(&event));
        listeners.report_lost();
        let lost = reported.try_recv().unwrap();
        assert_eq!((lost.source.as_str(), lost.kind.as_str()), ("waiting", "event-dropped"));
        assert!((100..=101).contains(&lost.count), "{lost:?}");
        (0..QUEUE + 101).for_each(|_| go_on.send(()).unwrap());
        let ends = crate::thread::runtime().unwrap().block_on(listeners.take(Until::Last).finish(None));
        assert!(ends[0].result.is_ok() && ends[0].name == "waiting", "{:?}", ends[0].result);
        assert!(reported.try_recv().is_err(), "told once");
    }

    #[test]
    fn a_sink_that_does_not_end_is_left_behind() {
        let (incidents, _reported) = Incidents::channel();
        let (_go_on, wait) = mpsc::channel();
        let mut listeners = Listeners::new(incidents.clone());
        let (closing, closed) = watch::channel(None);
        let terms =
            Terms { patience: Duration::from_millis(50), closing: Some(closing), ..Terms::usual(Until::Verdict) };
        let sink = Attaching::start("waiting", terms, &incidents, move || Ok(Box::new(Waiting(wait)))).unwrap();
        listeners.attach(sink);
        listeners.send(&Arc::new(RunEvent::MatrixPlanned { cells: 1 }));
        assert!(listeners.take(Until::Measured).0.is_empty(), "it listens until the verdict");
        let ends = crate::thread::runtime().unwrap().block_on(listeners.take(Until::Verdict).finish(None));
        assert!(ends[0].result.as_ref().is_err_and(|why| why.contains("time was up")), "{:?}", ends[0].result);
        assert!(closed.borrow().is_some(), "it was told when to end");
    }
}
