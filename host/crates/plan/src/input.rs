//! A suite's text and how it is to be read and planned: to do so again for each cell of a matrix, and for an earlier run.

use std::path::PathBuf;

use kperf_plugin::Engine;
use kperf_suite::{Diagnostics, LoadOptions, Source, Suite};

use crate::plan::Lookup;

/// See the module.
#[derive(Clone)]
pub struct SuiteInput {
    /// What the text is called in messages: its path.
    pub name: String,
    /// The suite (TOML).
    pub text: String,
    /// The folder that its paths are relative to.
    pub folder: PathBuf,
    /// The environment to apply; none for the suite as it stands.
    pub environment: Option<String>,
    /// The user's overrides: `scenario.runs.load.vus=5`.
    pub sets: Vec<String>,
    /// What stands for the process environment.
    pub lookup: Lookup,
    /// Loads plugins.
    pub engine: Engine,
    /// How many threads a scenario gets where neither the user nor the suite says so.
    pub cores: u32,
    /// How many threads each scenario gets, if the user says so.
    pub workers: Option<u32>,
    /// Whether plugins outside the sandbox may be loaded, which runs their code.
    pub allow_native: bool,
}

impl SuiteInput {
    /// The suite with further overrides.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn suite(&self, more: &[String]) -> Result<Suite, Diagnostics> {
        let sets: Vec<String> = self.sets.iter().chain(more).cloned().collect();
        kperf_suite::load(self.source(), &LoadOptions { sets: &sets, ..self.options() })
    }

    pub(crate) fn source(&self) -> Source<'_> {
        Source { name: &self.name, text: &self.text }
    }

    pub(crate) fn options(&self) -> LoadOptions<'_> {
        LoadOptions { environment: self.environment.as_deref(), sets: &self.sets, lookup: &self.lookup }
    }
}
