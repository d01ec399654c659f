//! Planning: what only plugins, their parameters and files reveal of a suite.
//!
//! In comes a suite that was read from a [`SuiteInput`]; out comes the [`Plan`], or every mistake at once. Plugins are compiled here,
//! each once, and none is called; native ones run code of theirs when they are loaded, and are loaded only where that is allowed.

mod natives;
mod targets;
mod thresholds;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use kperf_metrics::{Builtin, MetricDef};
use kperf_plugin::{Engine, Plugin, World};
use kperf_schedule::Schedule;
use kperf_suite::{Diagnostic, Diagnostics, PluginRef, PluginUse, Scenario, Sources, Span, Suite};

use crate::input::SuiteInput;
use crate::params::{self, KnownMetrics, ParamsContext};
use crate::plan::{Plan, PlanError, PlannedPlugin, PlannedScenario, PlannedThreshold};
use crate::secrets;

impl SuiteInput {
    /// The plan of the suite with further overrides.
    ///
    /// # Errors
    /// Every mistake in it, also those that only plugins and files reveal.
    pub async fn plan(&self, more: &[String]) -> Result<Plan, PlanError> {
        self.plan_of(self.suite(more)?).await
    }

    /// The plan of a suite that was read from this input, or of a part of it.
    ///
    /// # Errors
    /// Every mistake in it that only plugins and files reveal.
    pub async fn plan_of(&self, suite: Suite) -> Result<Plan, PlanError> {
        let mut planner = Planner::new(&self.folder, &self.engine);
        planner.credentials = Some(suite.credentials.keys().cloned().collect());
        let mut scenarios = Vec::new();
        for scenario in &suite.scenarios {
            let workers = self.workers.or(scenario.workers.map(u32::from)).unwrap_or(self.cores);
            scenarios.extend(planner.scenario(scenario, workers, &suite.sources).await);
        }
        let mut collectors = Vec::new();
        for collector in &suite.collectors {
            collectors.extend(planner.planned(&collector.plugin, Some(World::Collector)).await);
        }
        let natives: Vec<_> =
            suite.natives.iter().filter_map(|native| planner.native(native, self.allow_native)).collect();
        let mut reporters = Vec::new();
        for reporter in &suite.reporters {
            reporters.extend(planner.planned(&reporter.plugin, Some(World::Reporter)).await);
        }
        let of_natives = natives.iter().flat_map(|native| &native.plugin.description().metrics);
        let plugins = scenarios.iter().map(|scenario| &scenario.plugin).chain(&collectors);
        let metrics: Vec<MetricDef> = plugins.flat_map(PlannedPlugin::metrics).chain(of_natives).cloned().collect();
        let complete = planner.plugin_diagnostics.is_empty();
        let thresholds = planner.thresholds(&suite.thresholds, &metrics, complete, &suite.sources);
        planner.diagnostics.extend(secrets::wrong_urls(&suite, &self.folder, self.lookup));
        let clusters = planner.clusters(&suite, self.lookup);
        let plugins_only = planner.diagnostics.is_empty();
        let diagnostics = planner.finish();
        if diagnostics.is_empty() {
            let (folder, lookup) = (self.folder.clone(), self.lookup);
            Ok(Plan { suite, folder, scenarios, thresholds, collectors, natives, reporters, clusters, lookup })
        } else {
            Err(PlanError { diagnostics: Diagnostics::new(suite.sources, diagnostics), plugins_only })
        }
    }

    /// Adds to the mistakes for which the suite was refused those that only its plugins, their parameters and files reveal, so
    /// that all of them can be shown at once.
    pub async fn all_mistakes(&self, refused: &Diagnostics) -> Diagnostics {
        let mut planner = Planner::new(&self.folder, &self.engine);
        for wanted in &kperf_suite::plugin_uses(self.source(), &self.options()) {
            planner.planned(wanted, None).await;
        }
        let mut diagnostics = planner.finish();
        diagnostics.extend(refused.iter().cloned());
        Diagnostics::new(refused.sources().clone(), diagnostics)
    }
}

struct Planner<'a> {
    folder: &'a Path,
    engine: &'a Engine,
    /// The names of the suite's credentials, if they are known.
    credentials: Option<Vec<String>>,
    /// Plugins by their name or path, with their source; none for one that could not be loaded and has been reported.
    loaded: HashMap<PluginRef, Option<(Plugin, String)>>,
    /// Native plugins that were loaded, by path and digest.
    libraries: HashMap<(String, String), kperf_native::Plugin>,
    /// The metrics of kperf itself and of the plugins so far.
    metrics: KnownMetrics,
    /// Mistakes of the suite.
    diagnostics: Vec<Diagnostic>,
    /// Plugins that are there and can't be used.
    plugin_diagnostics: Vec<Diagnostic>,
}

impl<'a> Planner<'a> {
    fn new(folder: &'a Path, engine: &'a Engine) -> Self {
        let metrics =
            Builtin::ALL.iter().map(|builtin| builtin.def()).map(|def| (Arc::clone(&def.name), def)).collect();
        let (loaded, libraries, diagnostics, plugin_diagnostics) = Default::default();
        Self { folder, engine, credentials: None, loaded, libraries, metrics, diagnostics, plugin_diagnostics }
    }

    /// Every mistake.
    fn finish(mut self) -> Vec<Diagnostic> {
        self.diagnostics.append(&mut self.plugin_diagnostics);
        self.diagnostics
    }

    fn add_metrics<'m>(&mut self, metrics: impl IntoIterator<Item = &'m MetricDef>) {
        for def in metrics {
            self.metrics.entry(Arc::clone(&def.name)).or_insert_with(|| def.clone());
        }
    }

    fn report(&mut self, span: Span, message: String, help: &str) {
        self.diagnostics.push(Diagnostic::new(span, message).help(help));
    }

    async fn scenario(&mut self, scenario: &Scenario, workers: u32, sources: &Sources) -> Option<PlannedScenario> {
        let plugin = self.planned(&scenario.plugin, Some(World::Runner)).await;
        let schedule = Schedule {
            executor: scenario.load.executor.clone(),
            start: scenario.start,
            graceful_stop: scenario.load.graceful_stop,
        };
        let workers = workers.clamp(1, schedule.executor.max_users().max(1));
        let metrics: Vec<MetricDef> = plugin.iter().flat_map(PlannedPlugin::metrics).cloned().collect();
        let thresholds = self.thresholds(&scenario.thresholds, &metrics, plugin.is_some(), sources);
        // A search judges its steps; only what it found is judged at the end.
        let of_steps = |it: &PlannedThreshold| {
            schedule.executor.search().is_some() && it.threshold.metric() != Builtin::Capacity.name()
        };
        let (criteria, thresholds) = thresholds.into_iter().partition(of_steps);
        Some(PlannedScenario { plugin: plugin?, schedule, workers, thresholds, criteria })
    }

    /// A plugin and its parameters, checked; `world` is what the plugin has to be, if that is known.
    async fn planned(&mut self, wanted: &PluginUse, world: Option<World>) -> Option<PlannedPlugin> {
        let (plugin, source) = self.plugin(wanted).await?;
        if let Some(world) = world
            && plugin.world() != world
        {
            let table = |world: World| match world {
                World::Runner => "scenario",
                World::Collector => "collector",
                World::Reporter => "reporter",
            };
            let message = format!("`{}` is a {}, not a {world}", plugin.description().name, plugin.world());
            self.report(wanted.plugin.span, message, &format!("use it under `[[{}]]`", table(plugin.world())));
            return None;
        }
        let description = plugin.description();
        let names: Vec<&str> = description.modes.iter().map(|mode| mode.name.as_str()).collect();
        let at = self.mode_index(wanted, &description.name, &names)?;
        let mode = description.modes.get(at)?;
        if mode.needs_target && wanted.target.is_none() {
            let message = format!("`{}` has nothing to send to", wanted.name.value);
            self.report(wanted.span, message, "add `target = \"..\"`, a name of `[targets]`");
            return None;
        }
        self.add_metrics(&plugin.description().metrics);
        let context =
            ParamsContext { folder: self.folder, credentials: self.credentials.as_deref(), metrics: &self.metrics };
        match params::check(&wanted.params, &mode.schema, &context, wanted.span) {
            Ok(params) => {
                self.add_metrics(&params.metrics);
                let (name, mode) = (wanted.name.value.clone(), mode.name.clone());
                Some(PlannedPlugin { name, component: plugin, source, mode, params })
            }
            Err(diagnostics) => {
                self.diagnostics.extend(diagnostics);
                None
            }
        }
    }

    /// The place of the mode that is asked for among a plugin's.
    fn mode_index(&mut self, wanted: &PluginUse, plugin: &str, names: &[&str]) -> Option<usize> {
        match (&wanted.mode, names) {
            (Some(mode), _) => {
                let at = names.iter().position(|name| *name == mode.value);
                if at.is_none() {
                    let message = format!("`{plugin}` has no mode `{}`", mode.value);
                    self.report(mode.span, message, &kperf_suite::suggestion(&mode.value, names.iter().copied()));
                }
                at
            }
            (None, [_]) => Some(0),
            (None, _) => {
                let message = format!("`{plugin}` has several modes");
                self.report(wanted.plugin.span, message, &format!("add `mode`, one of `{}`", names.join("`, `")));
                None
            }
        }
    }

    async fn plugin(&mut self, wanted: &PluginUse) -> Option<(Plugin, String)> {
        if let Some(known) = self.loaded.get(&wanted.plugin.value) {
            return known.clone();
        }
        let loaded = self.load(wanted).await;
        self.loaded.insert(wanted.plugin.value.clone(), loaded.clone());
        loaded
    }

    async fn load(&mut self, wanted: &PluginUse) -> Option<(Plugin, String)> {
        let span = wanted.plugin.span;
        let (bytes, source) = match &wanted.plugin.value {
            PluginRef::Builtin(name) => match kperf_guests::get(name) {
                Some(bytes) => (bytes.into(), "built-in".to_owned()),
                None => {
                    let help = kperf_suite::suggestion(name, kperf_guests::names());
                    self.report(span, format!("there is no built-in plugin `{name}`"), &help);
                    return None;
                }
            },
            PluginRef::File(path) => match std::fs::read(self.folder.join(path)) {
                Ok(bytes) => (std::borrow::Cow::from(bytes), path.clone()),
                Err(error) => {
                    let help = "paths are relative to the suite";
                    self.report(span, format!("can't read the plugin `{path}`: {error}"), help);
                    return None;
                }
            },
        };
        match Plugin::load(self.engine, &bytes).await {
            Ok(plugin) => Some((plugin, source)),
            Err(error) => {
                let message = format!("{}: {error}", error.fault());
                self.plugin_diagnostics.push(Diagnostic::new(span, message));
                None
            }
        }
    }
}
