//! The plan: what will run, with nothing left to find out but what the target and the machine say.
//!
//! It is data. Planning makes it; what is shown of it, where its targets are and which secrets it uses are functions of it elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kperf_metrics::{MetricDef, Severity, Threshold, Unit};
use kperf_plugin::Plugin;
use kperf_schedule::Schedule;
use kperf_suite::{Diagnostics, Located, Suite};

use crate::kubeconfig::Cluster;
use crate::params::CheckedParams;

/// Looks up a variable of the process environment.
pub type Lookup = fn(&str) -> Option<String>;

/// See the module.
pub struct Plan {
    /// The suite as it is written.
    pub suite: Suite,
    /// The folder that paths in the suite are relative to.
    pub folder: PathBuf,
    /// One for each of the suite's scenarios, in order.
    pub scenarios: Vec<PlannedScenario>,
    /// The thresholds of the whole suite.
    pub thresholds: Vec<PlannedThreshold>,
    /// One for each of the suite's collectors, in order.
    pub collectors: Vec<PlannedPlugin>,
    /// One for each of the suite's native collectors, in order.
    pub natives: Vec<PlannedNative>,
    /// One for each of the suite's reporters, in order.
    pub reporters: Vec<PlannedPlugin>,
    /// By target, what its kubeconfig says.
    pub(crate) clusters: BTreeMap<String, Located<Cluster>>,
    /// Where the suite's credentials of environment variables come from.
    pub(crate) lookup: Lookup,
}

impl Plan {
    /// The sandboxed plugins of scenarios, collectors and reporters, in this order.
    pub fn plugins(&self) -> impl Iterator<Item = &PlannedPlugin> {
        let scenarios = self.scenarios.iter().map(|scenario| &scenario.plugin);
        scenarios.chain(&self.collectors).chain(&self.reporters)
    }
}

/// A plugin in the sandbox, and what it is to do as one scenario, collector or reporter of the suite.
pub struct PlannedPlugin {
    /// The scenario's, collector's or reporter's name.
    pub name: String,
    /// Its code, compiled.
    pub component: Plugin,
    /// Where the component came from: `built-in`, or its path as the suite writes it.
    pub source: String,
    /// The mode that it runs in: one of those of its description.
    pub mode: String,
    /// What it is told to do in this mode.
    pub params: CheckedParams,
}

impl PlannedPlugin {
    /// Every metric that it may record: those of the plugin's description, and those that its parameters declare.
    pub fn metrics(&self) -> impl Iterator<Item = &MetricDef> {
        self.component.description().metrics.iter().chain(&self.params.metrics)
    }
}

/// A collector outside the sandbox, and what it is to do.
pub struct PlannedNative {
    /// The collector's name in the suite.
    pub name: String,
    /// The library, loaded.
    pub plugin: kperf_native::Plugin,
    /// Where the library came from: `built-in`, or its path as the suite writes it.
    pub source: String,
    /// The mode that it runs in: one of those of its description.
    pub mode: String,
    /// What it is told to do in this mode.
    pub params: CheckedParams,
}

/// A scenario that is ready to run.
pub struct PlannedScenario {
    /// The plugin that makes its iterations.
    pub plugin: PlannedPlugin,
    /// When its iterations start.
    pub schedule: Schedule,
    /// How many threads drive it.
    pub workers: u32,
    /// What must hold.
    pub thresholds: Vec<PlannedThreshold>,
    /// What must hold for a step of a capacity search to hold; none for other loads.
    pub criteria: Vec<PlannedThreshold>,
}

/// A threshold that was checked against the metric it is about.
pub struct PlannedThreshold {
    /// As it stands in the suite: `http_req_failed rate < 1%`.
    pub text: String,
    /// Its meaning, with the scenario in the selector.
    pub threshold: Threshold,
    /// From when on a breach ends the run, if it does.
    pub abort: Option<Duration>,
    /// How much a breach matters.
    pub severity: Severity,
    /// The unit of its figure.
    pub unit: Unit,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[error("{}", .diagnostics.render(false).trim_end())]
pub struct PlanError {
    /// Every mistake, with its place.
    pub diagnostics: Diagnostics,
    /// Whether only plugins are at fault, not the suite.
    pub plugins_only: bool,
}

impl From<Diagnostics> for PlanError {
    /// The suite itself can't be read.
    fn from(diagnostics: Diagnostics) -> Self {
        Self { diagnostics, plugins_only: false }
    }
}
