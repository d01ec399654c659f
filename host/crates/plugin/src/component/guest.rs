//! The data of a guest's store: its limits, its share of WASI, and which iterations are running in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use wasmtime::component::{GuestTaskId, Linker, ResourceTable};
use wasmtime::{CallHook, StoreContextMut};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::component::wasi;
use crate::environment::limits::Limiter;
use crate::environment::random::Stream;
use crate::environment::services::Services;

/// See the module.
pub(crate) struct Guest {
    pub(crate) services: Arc<Services>,
    pub(crate) limiter: Limiter,
    pub(crate) calls: Calls,
    pub(crate) cpu: CpuClock,
    pub(crate) hooks: wasi::Hooks,
    pub(crate) wasi_http: WasiHttpCtx,
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
}

impl Guest {
    pub(crate) fn new(services: &Arc<Services>) -> Self {
        Self {
            limiter: Limiter::new(services.plugin.limits.memory),
            calls: Calls::new(services.random_root),
            cpu: CpuClock::default(),
            hooks: wasi::Hooks::new(services),
            wasi_http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            wasi: wasi::context(services),
            services: Arc::clone(services),
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.hooks.late = self.calls.only_late();
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.wasi_http }
    }
}

/// Links WASI and `wasi:http`, once per engine.
pub(crate) fn link_wasi(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

/// An iteration that is running in the store.
#[derive(Debug)]
pub(crate) struct Call {
    /// How late it started; only in the open model.
    pub(crate) late: Option<Duration>,
    pub(crate) stream: Stream,
    /// Its user waits no more: it wakes from its sleep and can send nothing.
    pub(crate) abandoned: bool,
}

/// The iterations that are running in the store, by the task that runs them.
#[derive(Debug)]
pub(crate) struct Calls {
    running: FxHashMap<GuestTaskId, Call>,
    /// For what a guest does outside iterations.
    own: Stream,
    /// Wakes sleepers when a call is abandoned.
    disturbed: Arc<Notify>,
}

impl Calls {
    fn new(random_root: u64) -> Self {
        Self { running: FxHashMap::default(), own: Stream::new(random_root), disturbed: Arc::default() }
    }

    pub(crate) fn begin(&mut self, task: GuestTaskId, call: Call) {
        self.running.insert(task, call);
    }

    pub(crate) fn end(&mut self, task: GuestTaskId) {
        self.running.remove(&task);
    }

    pub(crate) fn abandon(&mut self, task: GuestTaskId) {
        if let Some(call) = self.running.get_mut(&task) {
            call.abandoned = true;
            self.disturbed.notify_waiters();
        }
    }

    pub(crate) fn is_abandoned(&self, task: Option<GuestTaskId>) -> bool {
        task.and_then(|task| self.running.get(&task)).is_some_and(|call| call.abandoned)
    }

    /// Notified whenever some call is abandoned.
    pub(crate) fn disturbed(&self) -> Arc<Notify> {
        Arc::clone(&self.disturbed)
    }

    /// The caller's stream of random numbers.
    pub(crate) fn stream(&mut self, task: Option<GuestTaskId>) -> &mut Stream {
        match task.and_then(|task| self.running.get_mut(&task)) {
            Some(call) => &mut call.stream,
            None => &mut self.own,
        }
    }

    /// How late the caller's iteration started.
    pub(crate) fn late(&self, task: Option<GuestTaskId>) -> Option<Duration> {
        self.running.get(&task?)?.late
    }

    /// How late the only iteration started, where the caller can't be known.
    pub(crate) fn only_late(&self) -> Option<Duration> {
        self.running.values().next().filter(|_| self.running.len() == 1)?.late
    }
}

/// The task that the host called and that is calling the host now. A guest's inner components are tasks of their own, so
/// it is the eldest of the stack.
pub(crate) fn caller<T>(mut store: StoreContextMut<'_, T>) -> Option<GuestTaskId> {
    store.async_call_stack().ok()?.last()
}

/// What to do with a guest that is running when the engine's clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tick {
    GoOn,
    Pause,
    Stop,
}

/// When a guest last went on. Set while it waits, out of reach of its store.
#[derive(Debug, Clone)]
struct Resumed(Arc<Mutex<Instant>>);

impl Default for Resumed {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Resumed {
    fn now(&self) {
        *self.0.lock() = Instant::now();
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().elapsed()
    }
}

/// One stretch in so many is timed, and counted that many times: reading the clock at every crossing between host and
/// guest, of which a request has about sixteen, would cost more than the metric is worth.
const SAMPLED: u64 = 8;

/// How long the guest ran: in all, to be counted, and since it last gave the processor back, to be limited.
///
/// What a guest runs between two returns to the event loop is a stretch. A stretch in which the engine's clock ticked is
/// a long one and timed from there on in any case.
#[derive(Debug)]
pub(crate) struct CpuClock {
    /// When the guest was entered, in a stretch that is timed.
    entered: Option<Instant>,
    /// By how much this stretch counts; 0 if it is not timed.
    weight: u64,
    /// Ticks of the engine's clock since the guest last returned to the event loop. Those that fall into a call of the host count as
    /// one.
    ticks: u32,
    /// How long the guest has run since its first tick, with what the host did for it.
    ran: Duration,
    /// When it last went on, since its first tick.
    resumed: Resumed,
    exceeded: bool,
    nanoseconds: u64,
    /// Chooses the stretches: a fixed rhythm could fall in step with the guest's own.
    choice: Stream,
}

impl Default for CpuClock {
    /// Times the first stretch, exactly.
    fn default() -> Self {
        Self {
            entered: None,
            weight: 1,
            ticks: 0,
            ran: Duration::ZERO,
            resumed: Resumed::default(),
            exceeded: false,
            nanoseconds: 0,
            choice: Stream::new(0),
        }
    }
}

impl CpuClock {
    /// Follows the crossings between host and guest.
    pub(crate) fn crossed(&mut self, hook: CallHook) {
        if self.weight == 0 {
            return;
        }
        if hook.exiting_host() {
            self.entered = Some(Instant::now());
        } else {
            self.count();
        }
    }

    fn count(&mut self) {
        if let Some(entered) = self.entered.take() {
            self.nanoseconds += self.weight * crate::call::duration::nanoseconds(entered.elapsed());
        }
    }

    /// A tick of the engine's clock fell into the guest's code.
    pub(crate) fn tick(&mut self, tick: Duration, limit: Duration) -> Tick {
        self.ticks += 1;
        if self.ticks == 1 {
            self.ran = Duration::ZERO;
            self.resumed.now();
        } else {
            self.ran += self.resumed.elapsed();
        }
        self.exceeded = self.ran.max(tick * self.ticks) > limit;
        if self.exceeded {
            return Tick::Stop;
        }
        self.count();
        self.weight = 1;
        // The first tick says nothing: the guest may have been entered a moment ago.
        if self.ticks == 1 {
            self.entered = Some(Instant::now());
            return Tick::GoOn;
        }
        // The guest is about to wait, which must not count. When it goes on is not seen, but from the second pause on it
        // has run for a tick since.
        if self.ticks > 2 {
            self.nanoseconds += crate::call::duration::nanoseconds(tick);
        }
        Tick::Pause
    }

    /// Waits before the guest goes on.
    pub(crate) fn pause(&self, pause: Duration) -> impl Future<Output = ()> + Send + use<> {
        let resumed = self.resumed.clone();
        async move {
            tokio::time::sleep(pause).await;
            resumed.now();
        }
    }

    /// The guest has returned to the event loop.
    pub(crate) fn returned(&mut self) {
        self.ticks = 0;
        self.weight = if self.choice.next().is_multiple_of(SAMPLED) { SAMPLED } else { 0 };
    }

    /// Whether the guest was stopped for running too long.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// Nanoseconds since this was last asked.
    pub(crate) fn take(&mut self) -> u64 {
        std::mem::take(&mut self.nanoseconds)
    }
}
