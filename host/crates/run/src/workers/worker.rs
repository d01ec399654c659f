//! A worker: one thread with its own runtime, connections, plugin instances and metric shard, driving one slice of one
//! scenario. It shares nothing with other workers but what happens once a second: it hands its samples over.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kperf_load::{Finished, Iteration, Progress, Shared, Signal, SignalReceiver, User, Users, drive};
use kperf_metrics::{Builtin, Interval, Record, SeriesId, SeriesLimit, Shard};
use kperf_plugin::{
    IsolationError, IterationOutcome, Plugin, PluginContext, Runner, RunnerPool, WorkerContext, WrongWorld,
};
use kperf_schedule::{Schedule, Slice};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::recorder::Recorder;
use crate::clock::unix_ns;
use crate::session::{EnvironmentError, ThreadEnvironment};

/// After so many tasks the runtime looks at sockets and timers. In the open model arrivals must not wait behind iterations; in
/// the closed one larger batches save system calls.
const ARRIVALS_FIRST: u32 = 16;
const BATCHES: u32 = 128;

/// What a worker tells the monitor.
pub(crate) enum Message {
    /// A second's samples.
    Samples(Interval),
    /// A second's rows of records.
    Records(Vec<Record>),
    /// The worker is done; its last samples came before.
    Done {
        /// The scenario's place in the plan.
        scenario: usize,
        /// Why the worker could not do its work, if it could not.
        error: Option<WorkerError>,
    },
}

/// Why a worker could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// The operating system refused.
    #[error("can't make a runtime: {0}")]
    Runtime(#[source] std::io::Error),
    /// The target can't be used.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The plugin makes no load.
    #[error(transparent)]
    World(#[from] WrongWorld),
    /// The suite wants instances as the plugin can't have them.
    #[error(transparent)]
    Isolation(#[from] IsolationError),
    /// The run has too many series.
    #[error(transparent)]
    Series(#[from] SeriesLimit),
}

/// What a worker is given.
pub(crate) struct Assignment {
    pub(crate) scenario: usize,
    pub(crate) slice: Slice,
    pub(crate) schedule: Schedule,
    pub(crate) shared: Arc<Shared>,
    pub(crate) signals: SignalReceiver,
    pub(crate) progress: Arc<Progress>,
    pub(crate) plugin: Plugin,
    pub(crate) context: Arc<PluginContext>,
    pub(crate) state: Arc<[u8]>,
    pub(crate) threads: ThreadEnvironment,
    pub(crate) messages: mpsc::UnboundedSender<Message>,
}

/// Starts a worker's thread.
///
/// # Errors
/// When the operating system has no thread for it.
pub(crate) fn start(assignment: Assignment) -> std::io::Result<JoinHandle<()>> {
    // What tools like `top -H` show; Linux cuts it to 15 bytes.
    let name = assignment.context.name.to_string();
    std::thread::Builder::new().name(name).spawn(move || {
        let messages = assignment.messages.clone();
        let scenario = assignment.scenario;
        let error = work(assignment).err();
        // Nobody listens any more once the run has been aborted.
        let _ = messages.send(Message::Done { scenario, error });
    })
}

fn work(assignment: Assignment) -> Result<Finished, WorkerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(if assignment.schedule.executor.is_open() { ARRIVALS_FIRST } else { BATCHES })
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(WorkerError::Runtime)?;
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        // The open model asks how long answers take, whatever this thread is busy with; the closed one how much work is done.
        let context = assignment.threads.worker(stopped, assignment.schedule.executor.is_open())?;
        let runner = Runner::new(&assignment.plugin, context.clone(), Arc::clone(&assignment.context))?;
        let pool = Rc::new(runner.pool(Arc::clone(&assignment.state))?);
        let recorder = Recorder::new(&context.registry, &assignment.context.tags)?;
        let users =
            ScenarioUsers { pool: Rc::clone(&pool), recorder: Rc::new(recorder), shard: Arc::clone(&context.shard) };
        let mut ticker = Ticker::new(&context, &assignment, pool)?;
        let (stopping, aborted) = (assignment.signals.clone(), assignment.signals.clone());
        let ending = Arc::clone(&context.ending);
        let load = drive(
            &assignment.schedule,
            assignment.slice,
            Arc::clone(&assignment.shared),
            users,
            assignment.signals.clone(),
            Arc::clone(&assignment.progress),
        );
        let finished = tokio::select! {
            finished = load => finished,
            never = ticker.run() => match never {},
            never = async {
                stopping.reached(Signal::GracefulStop).await;
                ending.store(true, Ordering::Relaxed);
                aborted.reached(Signal::Abort).await;
                stop.send_replace(true);
                std::future::pending::<std::convert::Infallible>().await
            } => match never {},
        };
        ticker.hand_over();
        Ok(finished)
    })
}

/// The scenario's virtual users on this worker.
struct ScenarioUsers {
    pool: Rc<RunnerPool>,
    recorder: Rc<Recorder>,
    shard: Arc<Mutex<Shard>>,
}

/// One virtual user: a number, and where its iterations run.
struct VirtualUser {
    id: u32,
    pool: Rc<RunnerPool>,
    recorder: Rc<Recorder>,
    shard: Arc<Mutex<Shard>>,
}

impl Users for ScenarioUsers {
    type User = VirtualUser;

    fn user(&self, id: u32) -> VirtualUser {
        VirtualUser {
            id,
            pool: Rc::clone(&self.pool),
            recorder: Rc::clone(&self.recorder),
            shard: Arc::clone(&self.shard),
        }
    }
}

impl User for VirtualUser {
    async fn iterate(&mut self, iteration: Iteration) {
        let start = Instant::now();
        let outcome = self.pool.iterate(self.id, iteration.number, iteration.due).await;
        let failure = match &outcome {
            IterationOutcome::Ok => None,
            IterationOutcome::Failed { kind } => Some(&**kind),
            IterationOutcome::Fault(fault) => Some(fault.name()),
            // The load engine counts it; it has no duration worth knowing.
            IterationOutcome::Interrupted => return,
        };
        self.recorder.iteration(&mut self.shard.lock(), iteration.due, start, failure);
    }
}

/// Once a second: hands the samples over, and looks after what is only worth a look that often.
struct Ticker {
    context: WorkerContext,
    pool: Rc<RunnerPool>,
    messages: mpsc::UnboundedSender<Message>,
    busy: SeriesId,
    waiting: SeriesId,
    opened: SeriesId,
    reused: SeriesId,
    seen: kperf_http::PoolStats,
    cpu: Duration,
    waited: Option<Duration>,
    at: Instant,
}

impl Ticker {
    fn new(context: &WorkerContext, assignment: &Assignment, pool: Rc<RunnerPool>) -> Result<Self, SeriesLimit> {
        let tags = &assignment.context.tags;
        let series = |metric: Builtin| context.registry.series(metric.into(), tags.clone());
        Ok(Self {
            context: context.clone(),
            pool,
            messages: assignment.messages.clone(),
            busy: series(Builtin::WorkerCpu)?,
            waiting: series(Builtin::WorkerCpuWait)?,
            opened: series(Builtin::HttpConnsOpened)?,
            reused: series(Builtin::HttpConnsReused)?,
            seen: kperf_http::PoolStats::default(),
            cpu: thread_cpu(),
            waited: kperf_system::waited(),
            at: Instant::now(),
        })
    }

    async fn run(&mut self) -> std::convert::Infallible {
        // Seconds count from the start of the run, the same on all workers, so that their samples fall into the same ones.
        let epoch = tokio::time::Instant::from_std(self.context.epoch);
        let mut seconds = tokio::time::interval_at(epoch + Duration::from_secs(1), Duration::from_secs(1));
        seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            seconds.tick().await;
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        self.pool.tick();
        self.context.http.sweep();
        let stats = self.context.http.stats();
        let (cpu, now) = (thread_cpu(), Instant::now());
        let elapsed = now.saturating_duration_since(self.at);
        let interval = {
            let mut shard = self.context.shard.lock();
            // A last hand-over covers a fraction of a second, too little to say how busy the thread was.
            if elapsed > Duration::from_millis(500) {
                let share =
                    |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() / elapsed.as_secs_f64();
                shard.record(self.busy, share(cpu, self.cpu));
                let waited = kperf_system::waited();
                if let (Some(now), Some(then)) = (waited, self.waited) {
                    shard.record(self.waiting, share(now, then));
                }
                (self.cpu, self.waited, self.at) = (cpu, waited, now);
            }
            shard.count(self.opened, (stats.opened_total - self.seen.opened_total) as f64);
            shard.count(self.reused, (stats.reused_total - self.seen.reused_total) as f64);
            shard.take(unix_ns())
        };
        self.seen = stats;
        // Nobody listens any more once the run has been aborted.
        let _ = self.messages.send(Message::Samples(interval));
        send_records(&self.context, &self.messages);
    }
}

/// Hands over the rows that plugins have appended since this was last done.
pub(crate) fn send_records(context: &WorkerContext, messages: &mpsc::UnboundedSender<Message>) {
    let rows = context.records.take();
    if !rows.is_empty() {
        let _ = messages.send(Message::Records(rows));
    }
}

/// The CPU time that the calling thread has used.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
