//! One call into a guest: making its store, bounding the call, and saying what went wrong.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Accessor;
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

use crate::bindings::types::Failure;
use crate::call::fault::Fault;
use crate::call::stopped::Stopped;
use crate::component::engine::{BACKTRACE, Engine, TICK};
use crate::component::guest::{Guest, Tick};
use crate::environment::services::Services;

/// How long a guest that runs on and on has to wait after each tick, so that the others of its thread go on.
const PAUSE: Duration = Duration::from_millis(1);

/// Why a call did not give a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin says that it did not work. The message is redacted.
    #[error("{kind}: {message}")]
    Failed {
        /// The plugin's own word for it.
        kind: Arc<str>,
        /// What happened, in the plugin's words.
        message: String,
    },
    /// The plugin broke down or went beyond a limit. The message is redacted.
    #[error("{fault}: {message}")]
    Fault {
        /// What it was.
        fault: Fault,
        /// What is known about it.
        message: String,
    },
}

impl CallError {
    pub(crate) fn failed(services: &Services, failure: &Failure) -> Self {
        let kind = services.failure(&failure.kind, &failure.message);
        Self::Failed { kind, message: services.told(&failure.message) }
    }
}

/// A store for one instance, with every limit set.
pub(crate) fn store(engine: &Engine, services: &Arc<Services>) -> Store<Guest> {
    let mut store = Store::new(engine.wasmtime(), Guest::new(services));
    store.limiter(|guest| &mut guest.limiter);
    let limit = services.plugin.limits.cpu;
    // Without a deadline even instantiation is interrupted.
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut store| {
        Ok(match store.data_mut().cpu.tick(TICK, limit) {
            Tick::GoOn => UpdateDeadline::Continue(1),
            // A timer and not a mere yield: tokio runs many ready tasks before it looks at its sockets again, and each
            // turn of this one takes a tick.
            Tick::Pause => UpdateDeadline::YieldCustom(1, Box::pin(store.data().cpu.pause(PAUSE))),
            Tick::Stop => UpdateDeadline::Interrupt,
        })
    });
    store.call_hook(|mut store, hook| {
        store.data_mut().cpu.crossed(hook);
        Ok(())
    });
    store
}

/// Does something with a store and gives up when it takes too long. After an error the store is of no use any more.
pub(crate) async fn limited<R>(
    store: &mut Store<Guest>,
    limit: Duration,
    call: impl AsyncFnOnce(&mut Store<Guest>) -> wasmtime::Result<R>,
) -> Result<R, CallError> {
    let result = tokio::time::timeout(limit, call(store)).await;
    settle(store);
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(diagnose(store, &error)),
        Err(_) => {
            Err(CallError::Fault { fault: Fault::CallTimeout, message: format!("the call took longer than {limit:?}") })
        }
    }
}

/// Runs a store's event loop until the future is ready, and notes each time that the guest came back to it.
pub(crate) async fn attended<R>(accessor: &Accessor<Guest>, future: impl Future<Output = R>) -> R {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        accessor.with(|mut access| access.get().cpu.returned());
        future.as_mut().poll(cx)
    })
    .await
}

/// Counts the processor time that the guest used since this was last done.
pub(crate) fn settle(store: &mut Store<Guest>) {
    let guest = store.data_mut();
    let nanoseconds = guest.cpu.take();
    guest.services.count_guest_cpu(nanoseconds);
}

/// What an error that came out of wasmtime means.
pub(crate) fn diagnose(store: &Store<Guest>, error: &wasmtime::Error) -> CallError {
    let guest = store.data();
    let limits = &guest.services.plugin.limits;
    if let Some(Stopped { fault, message }) = error.downcast_ref() {
        let message = guest.services.told(message);
        return CallError::Fault { fault: *fault, message };
    }
    let (fault, message) = match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) if guest.cpu.exceeded() => {
            let limit = limits.cpu;
            (Fault::CpuLimit, format!("ran for longer than {limit:?} without waiting for anything (`limits.cpu`)"))
        }
        Some(trap) if is_overflow(*trap, error) => {
            (Fault::StackOverflow, "its stack is used up; it recurses too deeply".into())
        }
        _ if guest.limiter.refused() => {
            let limit = limits.memory;
            (Fault::MemoryLimit, format!("asked for more than {limit} bytes of memory (`limits.memory`)"))
        }
        _ => (Fault::Trap, error.root_cause().to_string()),
    };
    let message = format!("{message}{}", frames(error));
    CallError::Fault { fault, message: guest.services.told(&message) }
}

/// For an instance that is not there although it was just made; can't happen.
pub(crate) fn gone() -> CallError {
    CallError::Fault { fault: Fault::Unsupported, message: "the instance is gone".into() }
}

/// Whether the stack was used up: the one that wasmtime keeps, or the one that compilers keep in the guest's memory, which
/// ends in an access out of bounds with the same few functions on the stack over and over.
fn is_overflow(trap: Trap, error: &wasmtime::Error) -> bool {
    let recurses = || {
        let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
        let mut functions: Vec<_> = frames.iter().map(wasmtime::FrameInfo::func_index).collect();
        functions.sort_unstable();
        functions.dedup();
        frames.len() >= BACKTRACE && functions.len() <= BACKTRACE / 4
    };
    trap == Trap::StackOverflow || (trap == Trap::MemoryOutOfBounds && recurses())
}

/// Where in the guest it happened.
fn frames(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let names: Vec<_> = backtrace.frames().iter().filter_map(|frame| frame.func_name()).take(4).collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}
