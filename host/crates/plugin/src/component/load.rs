//! From bytes to a plugin that can be instantiated. Every reason why that does not work has a name.

use std::sync::Arc;
use std::time::Instant;

use kperf_metrics::{Registry, Shard};
use parking_lot::Mutex;
use tokio::sync::watch;
use wasmtime::component::Component;

use crate::bindings::collector::CollectorPre;
use crate::bindings::reporter::ReporterPre;
use crate::bindings::runner::RunnerPre;
use crate::bindings::types;
use crate::call::bounded::{self, CallError};
use crate::call::fault::{Fault, Incidents};
use crate::component::cache;
use crate::component::description::Description;
use crate::component::description_error::DescriptionError;
use crate::component::engine::Engine;
use crate::component::guest::Guest;
use crate::component::inspect::{InspectError, Inspection, World};
use crate::environment::context::{PluginContext, WorkerContext};
use crate::environment::services::Services;
use crate::recording::fact::Facts;
use crate::recording::record::Records;

/// Why a plugin can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not a component, or not one of ours.
    #[error(transparent)]
    Inspection(#[from] InspectError),
    /// wasmtime can't compile it.
    #[error("it can't be compiled: {0}")]
    Compile(String),
    /// It imports what the host does not offer, or exports a world's interface with wrong functions.
    #[error("it does not fit this host: {0}")]
    Unfit(String),
    /// `describe` did not work.
    #[error("its `describe` failed: {0}")]
    Describe(#[from] CallError),
    /// `describe` says something wrong.
    #[error(transparent)]
    Description(#[from] DescriptionError),
}

impl LoadError {
    /// The stable name of what is wrong.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Inspection(InspectError::BadVersion { .. }) => Fault::BadVersion,
            Self::Inspection(InspectError::NotAComponent(_) | InspectError::Damaged(_)) => Fault::NotAComponent,
            Self::Describe(CallError::Fault { fault, .. }) => *fault,
            _ => Fault::Unsupported,
        }
    }
}

/// A plugin that is compiled, linked and has described itself. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    engine: Engine,
    world: Exports,
    concurrent: bool,
    digest: String,
    description: Description,
}

/// The world's exports, found.
pub(crate) enum Exports {
    Runner(RunnerPre<Guest>),
    Collector(CollectorPre<Guest>),
    Reporter(ReporterPre<Guest>),
}

impl Plugin {
    /// Compiles a component, or takes it from the cache, links it and asks it to describe itself. Compiling takes the
    /// calling thread for up to seconds. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// If the bytes are no plugin for this host; the error says which of the many ways it is.
    pub async fn load(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        let anatomy = Inspection::of(bytes)?;
        let digest = cache::digest(bytes);
        let compiled = match engine.cache() {
            Some(cache) => cache.component(engine.wasmtime(), &digest, bytes),
            None => Component::from_binary(engine.wasmtime(), bytes),
        };
        let component = compiled.map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let unfit = |error: wasmtime::Error| LoadError::Unfit(format!("{error:#}"));
        let pre = engine.linker().instantiate_pre(&component).map_err(unfit)?;
        let world = match anatomy.world {
            World::Runner => RunnerPre::new(pre).map(Exports::Runner),
            World::Collector => CollectorPre::new(pre).map(Exports::Collector),
            World::Reporter => ReporterPre::new(pre).map(Exports::Reporter),
        };
        let world = world.map_err(unfit)?;
        let description = Description::try_from(describe(engine, &world).await?)?;
        Ok(Self(Arc::new(Inner { engine: engine.clone(), world, concurrent: anatomy.concurrent, digest, description })))
    }

    /// What kind of plugin it is.
    #[must_use]
    pub fn world(&self) -> World {
        match self.0.world {
            Exports::Runner(_) => World::Runner,
            Exports::Collector(_) => World::Collector,
            Exports::Reporter(_) => World::Reporter,
        }
    }

    /// Whether users can share an instance (the guest's exports are lifted asynchronously).
    #[must_use]
    pub fn is_concurrent(&self) -> bool {
        self.0.concurrent
    }

    /// The SHA-256 of the component's bytes, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.0.world
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Description { name, version, .. } = self.description();
        write!(f, "Plugin({name} {version}, {})", self.world())
    }
}

/// Asks a plugin what it is, in an instance of its own and without any capability.
async fn describe(engine: &Engine, world: &Exports) -> Result<types::Description, CallError> {
    let services = Services::incapable(nowhere());
    let mut store = bounded::store(engine, &services);
    let (store, limit) = (&mut store, services.plugin.limits.call);
    match world {
        Exports::Runner(pre) => {
            let plugin = bounded::limited(store, limit, async |store| pre.instantiate_async(store).await).await?;
            let exports = plugin.kperf_plugin_runner_api();
            bounded::limited(store, limit, async |store| exports.call_describe(store).await).await
        }
        Exports::Collector(pre) => {
            let plugin = bounded::limited(store, limit, async |store| pre.instantiate_async(store).await).await?;
            let exports = plugin.kperf_plugin_collector_api();
            bounded::limited(store, limit, async |store| exports.call_describe(store).await).await
        }
        Exports::Reporter(pre) => {
            let plugin = bounded::limited(store, limit, async |store| pre.instantiate_async(store).await).await?;
            let exports = plugin.kperf_plugin_reporter_api();
            bounded::limited(store, limit, async |store| exports.call_describe(store).await).await
        }
    }
}

/// A context in which nothing is kept and nothing is granted.
fn nowhere() -> (WorkerContext, PluginContext) {
    let registry = Registry::default();
    let worker = WorkerContext {
        shard: Arc::new(Mutex::new(Shard::new(registry.clone(), 0))),
        records: Records::default(),
        facts: Facts::default(),
        registry,
        http: kperf_http::Client::new(kperf_http::OriginConfig::default()),
        epoch: Instant::now(),
        stop: watch::channel(false).1,
        ending: Arc::default(),
        incidents: Incidents::channel().0,
        redactor: crate::environment::redactor::Redactor::default(),
        seed: 0,
    };
    (worker, PluginContext { name: "describe".into(), ..PluginContext::default() })
}
