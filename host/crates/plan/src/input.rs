//! A suite's text and how it is to be read: to read it again for each cell of a matrix, and to plan an earlier run once more.

use std::collections::BTreeSet;
use std::path::PathBuf;

use kperf_plugin::Engine;
use kperf_suite::{Source, Suite};

use crate::planner::{self, Plan, Refused};

/// See the module.
#[derive(Clone)]
pub struct SuiteInput {
    /// What the text is called in messages.
    pub name: String,
    /// The suite (TOML).
    pub text: String,
    /// The folder that its paths are relative to.
    pub folder: PathBuf,
    /// The environment to apply.
    pub environment: Option<String>,
    /// The user's overrides: `scenario.runs.load.vus=5`.
    pub sets: Vec<String>,
    /// Looks up a variable of the process environment.
    pub lookup: fn(&str) -> Option<String>,
    /// Loads plugins.
    pub engine: Engine,
    /// How many cores there are.
    pub cores: u32,
    /// How many worker threads a scenario gets, if the user says so.
    pub workers: Option<u32>,
    /// Whether plugins outside the sandbox may be loaded.
    pub allow_native: bool,
}

impl SuiteInput {
    /// The suite with further overrides.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn suite(&self, more: &[String]) -> Result<Suite, Refused> {
        let sets: Vec<String> = self.sets.iter().chain(more).cloned().collect();
        let options =
            kperf_suite::LoadOptions { environment: self.environment.as_deref(), sets: &sets, lookup: &self.lookup };
        kperf_suite::load(Source { name: &self.name, text: &self.text }, &options)
            .map_err(|diagnostics| Refused { diagnostics, plugins_only: false })
    }

    /// The plan of the suite with further overrides.
    ///
    /// # Errors
    /// Every mistake in it, also those that only plugins and files reveal.
    pub async fn plan(&self, more: &[String]) -> Result<Plan, Refused> {
        self.plan_of(self.suite(more)?).await
    }

    /// The plan of a suite that was read from this input, or a part of it.
    ///
    /// # Errors
    /// Every mistake in it that only plugins and files reveal.
    pub async fn plan_of(&self, suite: Suite) -> Result<Plan, Refused> {
        planner::make(suite, &self.folder, &self.engine, self.cores, self.workers, self.allow_native).await
    }
}

/// Leaves of a suite what removes things that these scenarios have created. Thresholds, collectors and reporters have nothing to do
/// with it, and may need what is not here any more.
pub fn keep_scenarios(suite: &mut Suite, names: &[String]) {
    suite.scenarios.retain(|scenario| names.contains(&scenario.plugin.name.value));
    suite.scenarios.iter_mut().for_each(|scenario| scenario.thresholds.clear());
    suite.thresholds.clear();
    suite.collectors.clear();
    suite.natives.clear();
    suite.reporters.clear();
}

/// Leaves of a suite what delivers the messages of these reporters. Nothing else is needed, and it may not be here any more.
pub fn keep_reporters(suite: &mut Suite, names: &BTreeSet<&str>) {
    suite.reporters.retain(|reporter| names.contains(reporter.plugin.name.value.as_str()));
    suite.scenarios.clear();
    suite.collectors.clear();
    suite.natives.clear();
    suite.thresholds.clear();
    let targets: BTreeSet<String> =
        suite.reporters.iter().filter_map(|it| it.plugin.target_name()).map(str::to_owned).collect();
    suite.targets.retain(|name, _| targets.contains(name));
}
