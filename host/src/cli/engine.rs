//! The plugin engine, with the cache that all commands share.

use std::path::PathBuf;

use kperf_plugin::{Engine, EngineConfig};

/// Makes the engine. Compiled plugins are kept in `KPERF_CACHE_DIR`, or in the user's cache folder; without either they
/// are compiled each time.
///
/// # Errors
/// When this machine can't run WebAssembly at all.
pub(super) fn make() -> Result<Engine, String> {
    let cached = EngineConfig { cache: folder() };
    Engine::new(&cached).or_else(|error| {
        // A cache that can't be used costs time, not the run.
        tracing::warn!("compiling plugins without a cache: {error}");
        Engine::new(&EngineConfig { cache: None }).map_err(|error| error.to_string())
    })
}

fn folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("KPERF_CACHE_DIR")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("kperf")))
        .or_else(|| set("HOME").map(|home| home.join(".cache").join("kperf")))
        .or_else(|| set("LOCALAPPDATA").map(|local| local.join("kperf")))
}
