//! Collectors: one instance that observes while load runs.

use std::sync::Arc;

use wasmtime::Store;

use crate::bindings::collector::exports::kperf::plugin::collector_api::{self, Collection, Guest as Exported};
use crate::bindings::collector::{self, CollectorPre};
use crate::bindings::types::Failure;
use crate::call::bounded::{self, CallError};
use crate::call::runner::WrongWorld;
use crate::component::guest::Guest;
use crate::component::inspect::World;
use crate::component::load::{Exports, Plugin};
use crate::environment::context::{PluginContext, WorkerContext};
use crate::environment::services::Services;

/// The time in which a scenario made load, in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioWindow {
    /// The scenario's name.
    pub scenario: String,
    /// Its first iteration could start.
    pub start: u64,
    /// Its last iteration had ended.
    pub end: u64,
}

/// The time in which load ran, in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// The first scenario's start.
    pub start: u64,
    /// The last scenario's end.
    pub end: u64,
    /// Each scenario that made load.
    pub scenarios: Vec<ScenarioWindow>,
}

impl From<Window> for collector_api::Window {
    fn from(Window { start, end, scenarios }: Window) -> Self {
        let scenarios = scenarios
            .into_iter()
            .map(|ScenarioWindow { scenario, start, end }| collector_api::ScenarioWindow { scenario, start, end });
        Self { start, end, scenarios: scenarios.collect() }
    }
}

/// A collector plugin at work. Its calls last at most `limits.call` each and never overlap.
pub struct Collector {
    plugin: Plugin,
    pre: CollectorPre<Guest>,
    services: Arc<Services>,
    /// None before the first call and after a fault: the next call starts anew.
    instance: Option<(Store<Guest>, collector::Collector)>,
}

impl Collector {
    /// Puts a plugin to work.
    ///
    /// # Errors
    /// If the plugin is no collector.
    pub fn new(plugin: &Plugin, worker: WorkerContext, context: Arc<PluginContext>) -> Result<Self, WrongWorld> {
        let Exports::Collector(pre) = plugin.exports() else { return Err(WrongWorld::new(plugin, World::Collector)) };
        let services = Services::new(worker, context, plugin.description());
        Ok(Self { pre: pre.clone(), plugin: plugin.clone(), services, instance: None })
    }

    /// Makes the instance and starts it. To be called once, before load starts.
    ///
    /// # Errors
    /// If the plugin says that it can't start, broke down or took too long.
    pub async fn start(&mut self) -> Result<(), CallError> {
        self.started().await.map(|_| ())
    }

    /// Takes one observation. After a fault the instance is made and started anew first.
    ///
    /// # Errors
    /// If the plugin says so, broke down or took too long. The next interval may try again.
    pub async fn collect(&mut self) -> Result<(), CallError> {
        self.call(async |exports, accessor| exports.call_collect(accessor).await).await
    }

    /// Takes what can only be had afterwards, for the time in which load ran.
    ///
    /// # Errors
    /// If the plugin says so, broke down or took too long.
    pub async fn finish(&mut self, window: Window) -> Result<(), CallError> {
        let done = self.call(async |exports, accessor| exports.call_finish(accessor, window.into()).await).await;
        self.services.tick();
        done
    }

    /// To be called about once a second, between the calls.
    pub fn tick(&self) {
        self.services.tick();
    }

    async fn started(&mut self) -> Result<&mut (Store<Guest>, collector::Collector), CallError> {
        if self.instance.is_none() {
            let context = &self.services.plugin;
            let collection = Collection {
                name: context.name.to_string(),
                mode: context.mode.clone(),
                parameters: context.parameters.clone(),
                target: context.target.clone(),
                run: context.run.clone(),
            };
            let mut store = bounded::store(self.plugin.engine(), &self.services);
            let limit = context.limits.call;
            let plugin =
                bounded::limited(&mut store, limit, async |store| self.pre.instantiate_async(store).await).await?;
            let exports = plugin.kperf_plugin_collector_api();
            let started = bounded(&mut store, &self.services, exports, async |exports, accessor| {
                exports.call_start(accessor, collection).await
            });
            started.await?.map_err(|failure| CallError::failed(&self.services, &failure))?;
            return Ok(self.instance.insert((store, plugin)));
        }
        self.instance.as_mut().ok_or_else(bounded::gone)
    }

    async fn call(
        &mut self,
        call: impl AsyncFnOnce(&Exported, &wasmtime::component::Accessor<Guest>) -> wasmtime::Result<Result<(), Failure>>,
    ) -> Result<(), CallError> {
        let services = Arc::clone(&self.services);
        let (store, plugin) = self.started().await?;
        let result = bounded(store, &services, plugin.kperf_plugin_collector_api(), call).await;
        if let Err(CallError::Fault { fault, message }) = &result {
            services.fault(*fault, 1, message);
            self.instance = None;
        }
        result?.map_err(|failure| CallError::failed(&services, &failure))
    }
}

async fn bounded<R>(
    store: &mut Store<Guest>,
    services: &Services,
    exports: &Exported,
    call: impl AsyncFnOnce(&Exported, &wasmtime::component::Accessor<Guest>) -> wasmtime::Result<R>,
) -> Result<R, CallError> {
    bounded::limited(store, services.plugin.limits.call, async |store| {
        store.run_concurrent(async |accessor| bounded::attended(accessor, call(exports, accessor)).await).await?
    })
    .await
}
