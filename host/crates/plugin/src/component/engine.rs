//! The engine: one per process. Compiles components, keeps the compiled code on disk, and ticks the clock by which
//! guests that never give the processor back are found.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Config;
use wasmtime::component::Linker;

use crate::capability;
use crate::component::cache::{CacheError, CompileCache};
use crate::component::guest::{self, Guest};

/// How often the engine's epoch moves. A guest is interrupted at such a tick at the earliest, so this bounds both how
/// long a spinning guest keeps the other work of its thread waiting and how exactly `limits.cpu` is held.
pub const TICK: Duration = Duration::from_millis(10);

/// Stack that guest code may use. More than any guest language needs that was tried; recursion without end hits it.
const GUEST_STACK: usize = 1 << 20;

/// Stack frames that are looked at after a trap: enough to see a recursion.
pub(crate) const BACKTRACE: usize = 20;

/// Why the engine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refused its configuration on this machine.
    #[error("wasmtime can't run on this machine: {0}")]
    Wasmtime(String),
    /// The cache's folder can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The thread that ticks could not be started.
    #[error("can't start the engine's clock thread: {0}")]
    Clock(#[source] std::io::Error),
}

/// What can be set on an engine.
#[derive(Debug, Clone, Default)]
pub struct EngineConfig {
    /// The folder in which compiled plugins are kept. None compiles every time.
    pub cache: Option<PathBuf>,
}

/// Compiles and links plugins. Cheap to clone; the clock thread ends with the last clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<Guest>,
    cache: Option<CompileCache>,
    /// Dropped before the thread is joined, which is how the thread learns that it is over.
    _clock: Clock,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("cache", &self.inner.cache).finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes the engine and starts its clock thread.
    ///
    /// # Errors
    /// If wasmtime does not support this machine, the cache's folder can't be used or no thread can be started.
    pub fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let wasmtime =
            wasmtime::Engine::new(&wasmtime_config()).map_err(|e| EngineError::Wasmtime(format!("{e:#}")))?;
        let mut linker = Linker::new(&wasmtime);
        // Plugins come from toolchains that import more of WASI than they use; what is missing is named at load.
        capability::link(&mut linker)
            .and_then(|()| guest::link_wasi(&mut linker))
            .map_err(|e| EngineError::Wasmtime(format!("{e:#}")))?;
        let cache = config.cache.as_deref().map(|dir| CompileCache::open(dir, &wasmtime)).transpose()?;
        let clock = Clock::start(wasmtime.clone())?;
        Ok(Self { inner: Arc::new(Inner { wasmtime, linker, cache, _clock: clock }) })
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    pub(crate) fn linker(&self) -> &Linker<Guest> {
        &self.inner.linker
    }

    pub(crate) fn cache(&self) -> Option<&CompileCache> {
        self.inner.cache.as_ref()
    }
}

fn wasmtime_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(2 * GUEST_STACK)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE));
    config
}

/// The thread that moves the epoch.
struct Clock {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    fn start(engine: wasmtime::Engine) -> Result<Self, EngineError> {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new()
            .name("kperf-epoch".into())
            .spawn(move || {
                while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    engine.increment_epoch();
                }
            })
            .map_err(EngineError::Clock)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only ever sleeps and counts; a panic in it could not be helped here.
            let _ = thread.join();
        }
    }
}
