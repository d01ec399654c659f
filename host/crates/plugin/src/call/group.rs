//! A group: one instance, and the virtual users whose iterations run in it, concurrently.
//!
//! Each group has one task, its driver, which owns the store. Users leave their jobs in the group's queue and wake the
//! driver; the driver starts each job as a concurrent call, runs the store's event loop, and leaves the outcome where
//! the user waits for it. Nothing is sent and nothing is locked: everything happens on one thread.
//!
//! | what happens                     | outcome of its call     | of the others in flight | the group              |
//! |----------------------------------|-------------------------|-------------------------|------------------------|
//! | the call returns                 | ok or failed            | -                       | goes on                |
//! | the guest traps                  | the fault               | `lost-with-group`       | is over                |
//! | the user gives up                | none: it is abandoned   | go on                   | goes on                |
//! | it has not ended 5 s later       | none                    | go on to their end      | takes no new jobs      |
//! | the user gives up, alone in it   | none                    | -                       | is over                |
//! | the pool is interrupted          | interrupted             | interrupted             | is over                |
//!
//! An abandoned call wakes from its sleep and can send nothing more, so a guest that is alive ends it soon.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustc_hash::FxHashMap;
use tokio::task::AbortHandle;
use wasmtime::component::{Accessor, GuestTaskId, TypedFunc};
use wasmtime::{AsContextMut as _, Store};

use crate::bindings::runner::RunnerPre;
use crate::bindings::runner::exports::kperf::plugin::runner_api::{Iteration, Scenario};
use crate::bindings::types::Failure;
use crate::call::bounded::{self, CallError};
use crate::call::fault::Fault;
use crate::call::iteration_outcome::IterationOutcome;
use crate::component::engine::Engine;
use crate::component::guest::{Call, Guest};
use crate::environment::random::Stream;
use crate::environment::services::Services;

/// How long an abandoned call may go on before its instance is thought to be stuck.
const GRACE: Duration = Duration::from_secs(5);

/// The kind of failure of an iteration that ends early because the run does.
const INTERRUPTED: &str = "interrupted";

type Iterate = TypedFunc<(Iteration,), (Result<(), Failure>,)>;

/// What every group of a pool is made from.
pub(crate) struct GroupSpec {
    pub(crate) engine: Engine,
    pub(crate) pre: RunnerPre<Guest>,
    pub(crate) services: Arc<Services>,
    pub(crate) scenario: Scenario,
    pub(crate) state: Arc<[u8]>,
    /// Instances that failed since the last iteration that worked.
    pub(crate) failures: Cell<u32>,
}

impl GroupSpec {
    fn outcome(&self, result: Result<(), Failure>) -> IterationOutcome {
        match result {
            Ok(()) => IterationOutcome::Ok,
            // Broken off because it was asked to: no failure of the target.
            Err(failure) if failure.kind == INTERRUPTED && self.services.is_ending() => IterationOutcome::Interrupted,
            Err(Failure { kind, message }) => IterationOutcome::Failed { kind: self.services.failure(&kind, &message) },
        }
    }
}

/// One iteration to be run.
struct Job {
    user: u32,
    number: u64,
    due: Option<Instant>,
    answer: Rc<Answer>,
}

/// Where an iteration's outcome is left and waited for.
#[derive(Default)]
pub(crate) struct Answer {
    outcome: Cell<Option<IterationOutcome>>,
    waiting: RefCell<Option<Waker>>,
    /// Once the call has begun.
    task: Cell<Option<GuestTaskId>>,
    /// When its user gave up.
    abandoned: Cell<Option<Instant>>,
}

impl Answer {
    fn give(&self, outcome: IterationOutcome) {
        self.outcome.set(Some(outcome));
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<IterationOutcome> {
        if let Some(outcome) = self.outcome.take() {
            return Poll::Ready(outcome);
        }
        let mut waiting = self.waiting.borrow_mut();
        match &mut *waiting {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Group {
    queue: RefCell<VecDeque<Job>>,
    running: RefCell<FxHashMap<GuestTaskId, Rc<Answer>>>,
    /// The driver, while it waits for jobs.
    driver: RefCell<Option<Waker>>,
    abort: RefCell<Option<AbortHandle>>,
    /// Abandoned calls of which the guest's side does not know yet.
    disturb: RefCell<Vec<GuestTaskId>>,
    /// Takes no new jobs.
    closing: Cell<bool>,
    over: Cell<bool>,
}

impl Group {
    /// Starts the group's driver; the instance is made there.
    pub(crate) fn start(spec: &Rc<GroupSpec>) -> Rc<Self> {
        let group = Rc::new(Self::default());
        // A driver stands for up to a group's number of tasks, so tokio's budget for one would make it spin.
        let driver = tokio::task::unconstrained(drive(Rc::clone(spec), Ending(Rc::clone(&group))));
        group.abort.replace(Some(tokio::task::spawn_local(driver).abort_handle()));
        group
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.closing.get() && !self.over.get()
    }

    /// Whether the instance is gone and everybody has an answer.
    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }

    pub(crate) fn submit(&self, user: u32, number: u64, due: Option<Instant>) -> Rc<Answer> {
        let answer = Rc::new(Answer::default());
        self.queue.borrow_mut().push_back(Job { user, number, due, answer: Rc::clone(&answer) });
        self.wake();
        answer
    }

    /// A user waits no more. With `alone` nothing else runs in the instance, so it is given up, too.
    pub(crate) fn abandon(&self, answer: &Answer, alone: bool) {
        answer.abandoned.set(Some(Instant::now()));
        if alone {
            self.closing.set(true);
        }
        self.disturb.borrow_mut().extend(answer.task.get());
        self.wake();
    }

    /// Takes no new jobs once an abandoned call has not ended in time. To be called now and then.
    pub(crate) fn examine(&self) {
        let stuck = |answer: &Rc<Answer>| answer.abandoned.get().is_some_and(|at| at.elapsed() > GRACE);
        if self.running.borrow().values().any(stuck) {
            self.close();
        }
    }

    /// Takes no new jobs, and ends when those in flight have ended.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        self.wake();
    }

    /// Whether nobody waits for any call any more.
    fn is_forsaken(&self) -> bool {
        self.running.borrow().values().all(|answer| answer.abandoned.get().is_some())
    }

    /// Ends at once; whoever waits gets this outcome.
    pub(crate) fn end(&self, outcome: IterationOutcome) {
        self.answer_all(&outcome);
        if let Some(abort) = self.abort.take() {
            abort.abort();
        }
    }

    fn answer_all(&self, outcome: &IterationOutcome) {
        self.over.set(true);
        let queued = self.queue.take().into_iter().map(|job| job.answer);
        let running = self.running.take().into_values();
        for answer in queued.chain(running) {
            answer.give(outcome.clone());
        }
    }

    fn wake(&self) {
        if let Some(driver) = self.driver.borrow().as_ref() {
            driver.wake_by_ref();
        }
    }
}

/// Answers whoever still waits when the driver ends, however it ends.
struct Ending(Rc<Group>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.answer_all(&IterationOutcome::Interrupted);
    }
}

async fn drive(spec: Rc<GroupSpec>, ending: Ending) {
    let group = &*ending.0;
    let services = &spec.services;
    let mut store = bounded::store(&spec.engine, services);
    let iterate = match open(&spec, &mut store).await {
        Ok(iterate) => iterate,
        Err(error) => {
            let fault = match &error {
                CallError::Fault { fault, .. } => *fault,
                CallError::Failed { .. } => Fault::OpenFailed,
            };
            services.fault(fault, 1, &format!("the instance could not be opened: {error}"));
            spec.failures.set(spec.failures.get() + 1);
            group.answer_all(&fault.into());
            return;
        }
    };
    let served = store.run_concurrent(async |accessor| serve(&spec, group, accessor, iterate).await).await;
    bounded::settle(&mut store);
    if let Err(error) = served.and_then(|served| served) {
        blame(&spec, group, &mut store, &error);
    }
}

/// Makes the instance and tells it what it works on.
async fn open(spec: &GroupSpec, store: &mut Store<Guest>) -> Result<Iterate, CallError> {
    let services = &spec.services;
    let limit = services.plugin.limits.call;
    let plugin = bounded::limited(store, limit, async |store| spec.pre.instantiate_async(store).await).await?;
    let exports = plugin.kperf_plugin_runner_api();
    let (scenario, state) = (spec.scenario.clone(), spec.state.to_vec());
    let opened = bounded::limited(store, limit, async |store| {
        store
            .run_concurrent(async |accessor| {
                bounded::attended(accessor, exports.call_open(accessor, scenario, state)).await
            })
            .await?
    })
    .await?;
    opened.map_err(|failure| CallError::failed(services, &failure))?;
    Ok(exports.func_iterate())
}

/// Starts jobs and gives their answers until the group is closed and nothing is in flight.
async fn serve(spec: &GroupSpec, group: &Group, accessor: &Accessor<Guest>, iterate: Iterate) -> wasmtime::Result<()> {
    let mut calls = FuturesUnordered::new();
    std::future::poll_fn(|cx| {
        // The driver is polled whenever the store's event loop is, that is, when no guest code runs.
        let used = accessor.with(|mut access| {
            let cpu = &mut access.get().cpu;
            cpu.returned();
            cpu.take()
        });
        spec.services.count_guest_cpu(used);
        for task in group.disturb.take() {
            accessor.with(|mut access| access.get().calls.abandon(task));
        }
        loop {
            loop {
                let Some(job) = group.queue.borrow_mut().pop_front() else { break };
                if job.answer.abandoned.get().is_some() {
                    continue;
                }
                let (task, started) = start(spec, accessor, iterate, &job)?;
                job.answer.task.set(Some(task));
                group.running.borrow_mut().insert(task, job.answer);
                calls.push(async move { (task, iterate.finish_call_concurrent(accessor, started).await) });
            }
            match calls.poll_next_unpin(cx) {
                Poll::Ready(Some((task, result))) => {
                    accessor.with(|mut access| access.get().calls.end(task));
                    let (result,) = result?;
                    spec.failures.set(0);
                    let answer = group.running.borrow_mut().remove(&task);
                    if let Some(answer) = answer.filter(|answer| answer.abandoned.get().is_none()) {
                        answer.give(spec.outcome(result));
                    }
                }
                _ if group.closing.get() && group.is_forsaken() => {
                    group.over.set(true);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(None) | Poll::Pending => {
                    let mut driver = group.driver.borrow_mut();
                    match &mut *driver {
                        Some(waker) => waker.clone_from(cx.waker()),
                        none => *none = Some(cx.waker().clone()),
                    }
                    return Poll::Pending;
                }
            }
        }
    })
    .await
}

type Started = wasmtime::component::TypedFuncCallConcurrent<Guest, (Iteration,), (Result<(), Failure>,)>;

fn start(
    spec: &GroupSpec,
    accessor: &Accessor<Guest>,
    iterate: Iterate,
    job: &Job,
) -> wasmtime::Result<(GuestTaskId, Started)> {
    let late = job.due.map(|due| due.elapsed());
    let stream = Stream::of_iteration(spec.services.random_root, job.user, job.number);
    accessor.with(|mut access| {
        let iteration = Iteration { user: job.user, number: job.number };
        let started = iterate.start_call_concurrent(access.as_context_mut(), (iteration,))?;
        access.get().calls.begin(started.task(), Call { late, stream, abandoned: false });
        Ok((started.task(), started))
    })
}

/// The instance is lost. The call that was on the stack gets the fault, the others are counted as lost with it.
fn blame(spec: &GroupSpec, group: &Group, store: &mut Store<Guest>, error: &wasmtime::Error) {
    let CallError::Fault { fault, message } = bounded::diagnose(store, error) else { return };
    spec.failures.set(spec.failures.get() + 1);
    let task = crate::component::guest::caller(store.as_context_mut());
    let guilty = task.and_then(|task| group.running.borrow_mut().remove(&task));
    spec.services.fault(fault, 1, &message);
    let others = match guilty {
        Some(guilty) => {
            guilty.give(fault.into());
            IterationOutcome::from(Fault::LostWithGroup)
        }
        // Nobody can be named, so everybody is.
        None => fault.into(),
    };
    let waits = |answer: &&Rc<Answer>| answer.abandoned.get().is_none();
    let lost = group.running.borrow().values().filter(waits).count();
    if lost > 0 {
        let text = format!("{lost} other iterations ran in the instance that was lost to `{fault}`");
        spec.services.fault(Fault::LostWithGroup, lost as u64, &text);
    }
    // Jobs that had not started yet were lost, too: their users come back with the next ones.
    group.answer_all(&others);
}
