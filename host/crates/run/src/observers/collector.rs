//! Collectors: each on a thread of its own, so that a slow or spinning one slows nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_plugin::{Collector, Fault, Plugin, PluginContext, Window, WorkerContext};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::unix_ns;
use crate::session::ThreadEnvironment;
use crate::thread;
use crate::workers::{Message, send_records};

/// A plugin that observes, and what its thread is given.
pub(crate) struct ObserverTask {
    pub(crate) plugin: Plugin,
    pub(crate) context: PluginContext,
    pub(crate) threads: ThreadEnvironment,
}

pub(crate) type Answer = oneshot::Sender<Result<(), String>>;

/// A collector at work.
pub(crate) struct CollectorHandle {
    name: Arc<str>,
    deadline: Duration,
    begin: Option<oneshot::Sender<Instant>>,
    finish: Option<oneshot::Sender<(Window, Answer)>>,
}

impl CollectorHandle {
    /// Starts the thread and waits until the plugin says that it is ready.
    pub(crate) async fn start(
        task: ObserverTask,
        interval: Duration,
        deadline: Duration,
        messages: mpsc::UnboundedSender<Message>,
    ) -> Result<Self, String> {
        let name = Arc::clone(&task.context.name);
        let (begin, begun) = oneshot::channel();
        let (finish, finished) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        thread::spawn(&name, async move || collect(task, interval, messages, ready, begun, finished).await)
            .map_err(|error| format!("can't start a thread: {error}"))?;
        answered(started).await?;
        Ok(Self { name, deadline, begin: Some(begin), finish: Some(finish) })
    }

    /// Tells the collector when load starts: that is when it observes for the first time.
    pub(crate) fn begin(&mut self, epoch: Instant) {
        if let Some(begin) = self.begin.take() {
            let _ = begin.send(epoch);
        }
    }

    /// Tells the collector when load ran and waits for what it still has to say, no longer than its deadline. One that hangs is left
    /// behind: the guest of its thread ends with its call's own limit, or with the process.
    pub(crate) async fn finish(mut self, window: Window) -> Result<(), String> {
        let (answer, finished) = oneshot::channel();
        let Some(finish) = self.finish.take() else { return Ok(()) };
        let _ = finish.send((window, answer));
        let finished = tokio::time::timeout(self.deadline, answered(finished)).await;
        let finished = finished.unwrap_or_else(|_| {
            Err(format!(
                "it had not ended {:?} after load (`deadline`): what it had still to say is lost",
                self.deadline
            ))
        });
        finished.map_err(|error| format!("{}: {error}", self.name))
    }
}

async fn collect(
    task: ObserverTask,
    interval: Duration,
    messages: mpsc::UnboundedSender<Message>,
    ready: Answer,
    begin: oneshot::Receiver<Instant>,
    finish: oneshot::Receiver<(Window, Answer)>,
) {
    let (_stop, stopped) = watch::channel(false);
    let made = task.threads.worker(stopped, false).map_err(|error| error.to_string()).and_then(|worker| {
        let collector = Collector::new(&task.plugin, worker.clone(), Arc::new(task.context));
        collector.map(|collector| (collector, worker)).map_err(|error| error.to_string())
    });
    let (mut collector, worker) = match made {
        Ok(made) => made,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let started = collector.start().await.map_err(|error| error.to_string());
    let failed = started.is_err();
    if ready.send(started).is_err() || failed {
        return;
    }
    // Nobody says it when the run ends before load.
    let Ok(epoch) = begin.await else { return };
    let mut intervals = tokio::time::interval_at(epoch.into(), interval);
    intervals.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut finish = std::pin::pin!(finish);
    let (window, answer) = loop {
        tokio::select! {
            biased;
            asked = &mut finish => match asked {
                Ok(asked) => break asked,
                Err(_) => return,
            },
            _ = intervals.tick() => {
                // The plugin's own failures are incidents already; the next interval tries again.
                if let Err(error) = collector.collect().await {
                    tracing::debug!("{error}");
                }
            }
            _ = seconds.tick() => {
                collector.tick();
                hand_over(&worker, &messages);
            }
        }
    };
    let finished = collector.finish(window).await.map_err(|error| error.to_string());
    hand_over(&worker, &messages);
    let _ = answer.send(finished);
}

fn hand_over(worker: &WorkerContext, messages: &mpsc::UnboundedSender<Message>) {
    worker.http.sweep();
    let interval = worker.shard.lock().take(unix_ns());
    if !interval.is_empty() {
        let _ = messages.send(Message::Samples(interval));
    }
    send_records(worker, messages);
}

/// The answer of an observer's thread.
pub(crate) async fn answered(answer: oneshot::Receiver<Result<(), String>>) -> Result<(), String> {
    answer.await.unwrap_or_else(|_| Err(format!("{} ended without an answer", Fault::PluginFailed)))
}
