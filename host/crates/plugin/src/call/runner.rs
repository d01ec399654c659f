//! Runners: the calls that happen once per scenario, and the pool of instances in which iterations run.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use kperf_metrics::{CheckOutcome, PreflightCheck};

use crate::bindings::runner::RunnerPre;
use crate::bindings::runner::exports::kperf::plugin::runner_api::{Guest as Exported, Scenario};
use crate::bindings::types;
use crate::call::bounded::{self, CallError};
use crate::call::fault::Fault;
use crate::call::group::{Answer, Group, GroupSpec};
use crate::call::iteration_outcome::IterationOutcome;
use crate::call::stopped::Stopped;
use crate::component::guest::Guest;
use crate::component::inspect::World;
use crate::component::load::{Exports, Plugin};
use crate::environment::context::{Isolation, PluginContext, WorkerContext};
use crate::environment::services::Services;
use crate::recording::ledger::LedgerEntry;

/// So many instances in a row may fail before the scenario is given up.
const FAILURES: u32 = 10;

/// The plugin is of another kind than it is used for.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{plugin}` is a {is}, not a {wanted}; use it under `[[{table}]]`", table = is_table(*is))]
pub struct WrongWorld {
    plugin: String,
    is: World,
    wanted: World,
}

fn is_table(world: World) -> &'static str {
    match world {
        World::Runner => "scenario",
        World::Collector => "collector",
        World::Reporter => "reporter",
    }
}

impl WrongWorld {
    pub(crate) fn new(plugin: &Plugin, wanted: World) -> Self {
        Self { plugin: plugin.description().name.clone(), is: plugin.world(), wanted }
    }
}

/// The suite asks for an isolation that the guest can't have.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is built for one call at a time, so its users can't share an instance; use isolation = \"user\" or leave it out"
)]
pub struct IsolationError(String);

/// A runner plugin at work for one scenario, on one thread.
pub struct Runner {
    plugin: Plugin,
    pre: RunnerPre<Guest>,
    services: Arc<Services>,
}

impl Runner {
    /// Puts a plugin to work for a scenario.
    ///
    /// # Errors
    /// If the plugin is no runner.
    pub fn new(plugin: &Plugin, worker: WorkerContext, context: Arc<PluginContext>) -> Result<Self, WrongWorld> {
        let Exports::Runner(pre) = plugin.exports() else { return Err(WrongWorld::new(plugin, World::Runner)) };
        let services = Services::new(worker, context, plugin.description());
        Ok(Self { pre: pre.clone(), plugin: plugin.clone(), services })
    }

    /// Asks whether the target is there and usable, in an instance of its own.
    ///
    /// # Errors
    /// If the plugin broke down or took too long.
    pub async fn preflight(&self) -> Result<Vec<PreflightCheck>, CallError> {
        let scenario = self.scenario();
        let findings = self.once(async |exports, accessor| exports.call_preflight(accessor, scenario).await).await?;
        let check = |finding: types::Finding| PreflightCheck {
            name: self.services.told(&finding.name),
            outcome: match finding.outcome {
                types::Outcome::Pass => CheckOutcome::Pass,
                types::Outcome::Warn => CheckOutcome::Warn,
                types::Outcome::Fail => CheckOutcome::Fail,
            },
            message: self.services.told(&finding.message),
        };
        Ok(findings.into_iter().map(check).collect())
    }

    /// Prepares the scenario, in an instance of its own, and gives the state for [`Runner::pool`] and
    /// [`Runner::teardown`]. The call may go on as long as it logs something or creates something every `limits.call`.
    ///
    /// # Errors
    /// If the plugin says so, broke down, was silent for too long, or its state is larger than `limits.state`.
    pub async fn setup(&self) -> Result<Vec<u8>, CallError> {
        let scenario = self.scenario();
        let state = self.once_within(Duration::MAX, async |exports, accessor| {
            tokio::select! {
                state = exports.call_setup(accessor, scenario) => state,
                stopped = self.stalled("nothing was logged or created", || Some(self.services.last_heard())) => {
                    Err(stopped.into())
                }
            }
        });
        let state = state.await?;
        let state = state.map_err(|failure| CallError::failed(&self.services, &failure))?;
        let (length, limit) = (state.len(), self.services.plugin.limits.state);
        if length > limit {
            let message = format!("the state has {length} bytes, more than {limit}; keep less or raise `limits.state`");
            return Err(CallError::Fault { fault: Fault::MemoryLimit, message });
        }
        Ok(state)
    }

    /// Removes what `setup` and the iterations left behind, in an instance of its own. Give the runner a context whose
    /// `stop` is not set: nothing can be sent otherwise.
    ///
    /// # Errors
    /// If the plugin says so, broke down or took too long.
    pub async fn teardown(&self, state: &[u8]) -> Result<(), CallError> {
        let (scenario, state) = (self.scenario(), state.to_vec());
        let done = self.once(async |exports, accessor| exports.call_teardown(accessor, scenario, state).await).await?;
        done.map_err(|failure| CallError::failed(&self.services, &failure))
    }

    /// Removes these entries' things from the target, in an instance of its own; the [`ScenarioLedger`](crate::ScenarioLedger) of the context
    /// tells which are gone afterwards. The call may go on as long as it removes something every `limits.call`. Give the
    /// runner a context whose `stop` is not set.
    ///
    /// # Errors
    /// If the plugin says so, broke down, or removed nothing for too long.
    pub async fn cleanup(&self, entries: Vec<LedgerEntry>) -> Result<(), CallError> {
        let entry = |entry: LedgerEntry| types::Entry {
            number: entry.number,
            kind: entry.kind,
            name: entry.name,
            id: entry.id,
        };
        let (scenario, entries) = (self.scenario(), entries.into_iter().map(entry).collect::<Vec<_>>());
        let done = self.once_within(Duration::MAX, async |exports, accessor| {
            tokio::select! {
                done = exports.call_cleanup(accessor, scenario, entries) => done,
                stopped = self.stalled("nothing was removed", || {
                    self.services.plugin.ledger.as_ref().map(|book| book.last_removed())
                }) => Err(stopped.into()),
            }
        });
        done.await?.map_err(|failure| CallError::failed(&self.services, &failure))
    }

    /// Waits until nothing has happened for `limits.call`; `last` says when something did.
    async fn stalled(&self, what: &str, last: impl Fn() -> Option<Instant>) -> Stopped {
        let limit = self.services.plugin.limits.call;
        let begun = Instant::now();
        loop {
            let last = last().map_or(begun, |last| last.max(begun));
            if last.elapsed() >= limit {
                return Stopped { fault: Fault::CallTimeout, message: format!("{what} for {limit:?}") };
            }
            tokio::time::sleep_until((last + limit).into()).await;
        }
    }

    /// A pool in which iterations run, for this thread's share of the users. Instances are made when they are needed.
    ///
    /// # Errors
    /// If the suite wants users to share instances of a guest that is not built for it.
    pub fn pool(&self, state: Arc<[u8]>) -> Result<RunnerPool, IsolationError> {
        let context = &self.services.plugin;
        let isolation = match (context.isolation, self.plugin.is_concurrent()) {
            (Some(Isolation::Shared), false) => return Err(IsolationError(self.plugin.description().name.clone())),
            (Some(isolation), _) => isolation,
            (None, true) => Isolation::Shared,
            (None, false) => Isolation::User,
        };
        let group = if isolation == Isolation::Shared { context.group.max(1) } else { 1 };
        let spec = Rc::new(GroupSpec {
            engine: self.plugin.engine().clone(),
            pre: self.pre.clone(),
            services: Arc::clone(&self.services),
            scenario: self.scenario(),
            state,
            failures: Cell::new(0),
        });
        Ok(RunnerPool {
            spec,
            isolation,
            group,
            places: RefCell::default(),
            groups: RefCell::default(),
            apart: RefCell::default(),
            interrupted: Cell::new(false),
        })
    }

    fn scenario(&self) -> Scenario {
        let context = &self.services.plugin;
        Scenario {
            name: context.name.to_string(),
            mode: context.mode.clone(),
            parameters: context.parameters.clone(),
            target: context.target.clone(),
            run: context.run.clone(),
            users: context.users,
        }
    }

    /// One call in an instance of its own.
    async fn once<R>(
        &self,
        call: impl AsyncFnOnce(&Exported, &wasmtime::component::Accessor<Guest>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        self.once_within(self.services.plugin.limits.call, call).await
    }

    async fn once_within<R>(
        &self,
        limit: Duration,
        call: impl AsyncFnOnce(&Exported, &wasmtime::component::Accessor<Guest>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        let mut store = bounded::store(self.plugin.engine(), &self.services);
        let plugin = bounded::limited(&mut store, self.services.plugin.limits.call, async |store| {
            self.pre.instantiate_async(store).await
        });
        let plugin = plugin.await?;
        let exports = plugin.kperf_plugin_runner_api();
        bounded::limited(&mut store, limit, async |store| {
            store.run_concurrent(async |accessor| bounded::attended(accessor, call(exports, accessor)).await).await?
        })
        .await
    }
}

/// The instances of one scenario on one thread. Must be used on one thread, inside a `LocalSet` or a `LocalRuntime`.
///
/// A user that is idle costs four bytes. Users stay with their group, so that what a guest keeps per user stays useful;
/// after a fault the group is made anew.
pub struct RunnerPool {
    spec: Rc<GroupSpec>,
    isolation: Isolation,
    group: u32,
    /// Each user's number among the users that this thread has seen.
    places: RefCell<FxHashMap<u32, u32>>,
    groups: RefCell<Vec<Option<Rc<Group>>>>,
    /// Groups that take no new jobs and still run some.
    apart: RefCell<Vec<Rc<Group>>>,
    interrupted: Cell<bool>,
}

impl RunnerPool {
    /// Runs one iteration of a user. `due` is when it should have started, in the open model: the response times of its
    /// requests count from there. Dropping the future gives the iteration up: the guest wakes from its sleep and can send
    /// nothing more, and an instance of the user's own is dropped.
    pub async fn iterate(&self, user: u32, number: u64, due: Option<Instant>) -> IterationOutcome {
        if self.interrupted.get() {
            return IterationOutcome::Interrupted;
        }
        if self.has_failed() {
            return Fault::PluginFailed.into();
        }
        let group = self.group_of(user);
        let answer = group.submit(user, number, due);
        if self.isolation == Isolation::Iteration {
            group.close();
        }
        let alone = self.isolation != Isolation::Shared;
        let waiting = Waiting { group: &group, answer: &answer, alone, ended: Cell::new(false) };
        match self.spec.services.plugin.limits.iteration {
            None => waiting.outcome().await,
            Some(limit) => match tokio::time::timeout(limit, waiting.outcome()).await {
                Ok(outcome) => outcome,
                Err(_) => self.timed_out(limit),
            },
        }
    }

    fn timed_out(&self, limit: Duration) -> IterationOutcome {
        let message = format!("an iteration took longer than {limit:?} (`iteration_timeout`)");
        self.spec.services.fault(Fault::IterationTimeout, 1, &message);
        Fault::IterationTimeout.into()
    }

    /// To be called about once a second: counts the guests' processor time and sends incidents that have added up.
    pub fn tick(&self) {
        self.spec.services.tick();
        self.groups.borrow().iter().flatten().for_each(|group| group.examine());
        self.apart.borrow_mut().retain(|group| !group.is_over());
    }

    /// Whether so many instances failed in a row that the scenario is given up; every further iteration is a
    /// [`Fault::PluginFailed`].
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.spec.failures.get() >= FAILURES
    }

    /// Ends everything in flight at once; those iterations and all further ones are [`IterationOutcome::Interrupted`].
    pub fn interrupt(&self) {
        self.interrupted.set(true);
        let groups = self.groups.take().into_iter().flatten();
        for group in groups.chain(self.apart.take()) {
            group.end(IterationOutcome::Interrupted);
        }
        self.spec.services.tick();
    }

    /// How users share instances.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// How many instances there are.
    #[must_use]
    pub fn instances(&self) -> usize {
        let shared = self.groups.borrow().iter().flatten().filter(|group| group.is_open()).count();
        shared + self.apart.borrow().iter().filter(|group| !group.is_over()).count()
    }

    fn group_of(&self, user: u32) -> Rc<Group> {
        if self.isolation == Isolation::Iteration {
            let group = Group::start(&self.spec);
            self.set_apart(Rc::clone(&group));
            return group;
        }
        let mut places = self.places.borrow_mut();
        let next = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let index = (*places.entry(user).or_insert(next) / self.group) as usize;
        let mut groups = self.groups.borrow_mut();
        if groups.len() <= index {
            groups.resize_with(index + 1, || None);
        }
        let group = groups.get(index).and_then(Option::as_ref).filter(|group| group.is_open());
        if let Some(group) = group {
            return Rc::clone(group);
        }
        let group = Group::start(&self.spec);
        let before = groups.get_mut(index).and_then(|slot| slot.replace(Rc::clone(&group)));
        if let Some(before) = before.filter(|before| !before.is_over()) {
            self.set_apart(before);
        }
        group
    }

    fn set_apart(&self, group: Rc<Group>) {
        let mut apart = self.apart.borrow_mut();
        if apart.len() == apart.capacity() {
            apart.retain(|group| !group.is_over());
        }
        apart.push(group);
    }
}

impl Drop for RunnerPool {
    fn drop(&mut self) {
        self.interrupt();
    }
}

/// A user that waits for an outcome.
struct Waiting<'a> {
    group: &'a Rc<Group>,
    answer: &'a Answer,
    alone: bool,
    ended: Cell<bool>,
}

impl Waiting<'_> {
    async fn outcome(&self) -> IterationOutcome {
        let outcome = std::future::poll_fn(|cx| self.answer.poll(cx)).await;
        self.ended.set(true);
        outcome
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.ended.get() {
            self.group.abandon(self.answer, self.alone);
        }
    }
}
