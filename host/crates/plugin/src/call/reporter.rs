//! Reporters: one instance that tells somebody about the run.

use std::sync::Arc;

use kperf_metrics::{Severity, ThresholdChange};
use wasmtime::Store;

use crate::bindings::reporter::exports::kperf::plugin::reporter_api::{
    Event as WireEvent, Guest as Exported, Reporting, ThresholdChange as WireChange,
};
use crate::bindings::reporter::{self, ReporterPre};
use crate::bindings::types::{self, Failure};
use crate::call::bounded::{self, CallError};
use crate::call::runner::WrongWorld;
use crate::component::guest::Guest;
use crate::component::inspect::World;
use crate::component::load::{Exports, Plugin};
use crate::component::unit::wire_unit;
use crate::environment::context::{PluginContext, WorkerContext};
use crate::environment::services::Services;

/// Something that happened, for reporters.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Load starts.
    RunStarted,
    /// A threshold does not hold any more.
    ThresholdBreached(ThresholdChange),
    /// A threshold holds again.
    ThresholdRecovered(ThresholdChange),
    /// The last iteration of the scenario with this name has ended.
    ScenarioFinished(String),
}

impl From<Event> for WireEvent {
    fn from(event: Event) -> Self {
        let wire = |change: ThresholdChange| WireChange {
            scenario: change.scenario,
            threshold: change.threshold,
            value: change.value,
            limit: change.limit,
            unit: wire_unit(change.unit),
            severity: match change.severity {
                Severity::Critical => types::Severity::Critical,
                Severity::Error => types::Severity::Error,
                Severity::Warning => types::Severity::Warning,
                Severity::Info => types::Severity::Info,
            },
            at: change.unix_ns,
        };
        match event {
            Event::RunStarted => Self::RunStarted,
            Event::ThresholdBreached(change) => Self::ThresholdBreached(wire(change)),
            Event::ThresholdRecovered(change) => Self::ThresholdRecovered(wire(change)),
            Event::ScenarioFinished(name) => Self::ScenarioFinished(name),
        }
    }
}

/// A reporter plugin at work. Its calls last at most `limits.call` each and never overlap.
pub struct Reporter {
    plugin: Plugin,
    pre: ReporterPre<Guest>,
    services: Arc<Services>,
    /// None before the first call and after a fault: the next call starts anew.
    instance: Option<(Store<Guest>, reporter::Reporter)>,
}

impl Reporter {
    /// Puts a plugin to work.
    ///
    /// # Errors
    /// If the plugin is no reporter.
    pub fn new(plugin: &Plugin, worker: WorkerContext, context: Arc<PluginContext>) -> Result<Self, WrongWorld> {
        let Exports::Reporter(pre) = plugin.exports() else { return Err(WrongWorld::new(plugin, World::Reporter)) };
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

    /// Tells an event. After a fault the instance is made and started anew first.
    ///
    /// # Errors
    /// If the plugin says so, broke down or took too long.
    pub async fn on_event(&mut self, event: Event) -> Result<(), CallError> {
        let event = WireEvent::from(event);
        self.call(async |exports, accessor| exports.call_on_event(accessor, event).await).await
    }

    /// Hands over the whole result: the text of `summary.json`.
    ///
    /// # Errors
    /// If the plugin says so, broke down or took too long.
    pub async fn report(&mut self, summary: String) -> Result<(), CallError> {
        let done = self.call(async |exports, accessor| exports.call_report(accessor, summary).await).await;
        self.services.tick();
        done
    }

    /// To be called about once a second, between the calls.
    pub fn tick(&self) {
        self.services.tick();
    }

    async fn started(&mut self) -> Result<&mut (Store<Guest>, reporter::Reporter), CallError> {
        if self.instance.is_none() {
            let context = &self.services.plugin;
            let reporting = Reporting {
                name: context.name.to_string(),
                mode: context.mode.clone(),
                parameters: context.parameters.clone(),
                target: context.target.clone(),
                run: context.run.clone(),
                suite: context.suite.clone(),
            };
            let mut store = bounded::store(self.plugin.engine(), &self.services);
            let limit = context.limits.call;
            let plugin =
                bounded::limited(&mut store, limit, async |store| self.pre.instantiate_async(store).await).await?;
            let exports = plugin.kperf_plugin_reporter_api();
            let started = bounded(&mut store, &self.services, exports, async |exports, accessor| {
                exports.call_start(accessor, reporting).await
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
        let result = bounded(store, &services, plugin.kperf_plugin_reporter_api(), call).await;
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
