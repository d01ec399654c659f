//! `kperf-host cleanup`: removing what a run has left on its targets, long after it.
//!
//! In come a run's folder and the plan that its suite makes today; out goes what is gone and what is left. The same plugin
//! has to find the same target again: whatever differs from the run is refused, unless the user insists.

use std::path::PathBuf;
use std::sync::Arc;

use kperf_metrics::Tags;
use kperf_plan::{Lookup, Plan, PlannedScenario, Secrets, SuiteInput, TargetAddress};
use kperf_plugin::{Engine, Incidents, Ledger, LedgerError, Runner, WrongWorld};
use kperf_results::{RemovalProgress, Removed, RunFolder, RunHeader, RunInfo};
use kperf_suite::{Diagnostics, Scenario};
use tokio::sync::watch;

use crate::header::target_of;
use crate::phases::remove;
use crate::run::adapt;
use crate::session::{EnvironmentError, Session};
use crate::stream;

/// Why nothing could be removed.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// The folder is none of a run.
    #[error("{dir} is not the folder of a run: {why}; give the one with run.json in it")]
    NoRun {
        /// The path that was given.
        dir: String,
        /// What is wrong with it.
        why: String,
    },
    /// The ledger can't be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The suite or what it needs is not what it was.
    #[error("{0}")]
    Changed(String),
    /// A credential can't be had.
    #[error("{}", .0.render(false))]
    Suite(Diagnostics),
    /// A plugin can't be given what its suite says.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The plugin makes no load.
    #[error(transparent)]
    World(#[from] WrongWorld),
}

/// A run that is over.
pub struct Past {
    /// What its journal begins with.
    pub header: RunHeader,
    /// The suite as it was read.
    pub suite: String,
    ledger: Ledger,
}

impl Past {
    /// Looks into a run's folder, and keeps others from cleaning it up at the same time.
    ///
    /// # Errors
    /// When it is no run's, or the run still goes on.
    pub fn open(folder: &RunFolder) -> Result<Self, CleanupError> {
        let no_run = |why: String| CleanupError::NoRun { dir: folder.path().display().to_string(), why };
        let header = kperf_results::header(folder).map_err(|error| no_run(error.to_string()))?;
        let header = header.ok_or_else(|| no_run("its journal does not begin with one".to_owned()))?;
        let ledger = Ledger::open(&folder.ledger())?;
        let suite = std::fs::read_to_string(folder.suite());
        let suite = suite.map_err(|error| no_run(format!("suite.toml: {error}")))?;
        Ok(Self { header, suite, ledger })
    }

    /// How the run's suite is read again, with the same environment and overrides; its files are looked for where they were.
    #[must_use]
    pub fn suite_input(&self, folder: &RunFolder, engine: Engine, lookup: Lookup) -> SuiteInput {
        suite_input(folder, &self.header.run, self.suite.clone(), engine, lookup)
    }

    /// The scenarios of which something is left.
    #[must_use]
    pub fn scenarios(&self) -> Vec<String> {
        self.ledger.scenarios()
    }

    /// Marks what was on the simulated server, which ended with the run, as removed. Gives how many things that were.
    ///
    /// # Errors
    /// When the ledger can't be read or written.
    pub fn forget_simulated(&self) -> Result<usize, CleanupError> {
        let mut gone = 0;
        let simulated =
            self.header.scenarios.iter().filter(|it| it.target.as_deref() == Some(TargetAddress::SIMULATED));
        for scenario in simulated {
            let book = self.ledger.scenario(&scenario.name);
            for entry in book.entries()? {
                book.removed(entry.number)?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// What differs from the run, if anything does.
    fn difference(&self, plan: &Plan, scenario: &PlannedScenario, of: &Scenario) -> Option<String> {
        let name = &scenario.plugin.name;
        let digest = format!("sha256:{}", scenario.plugin.component.digest());
        if !self.header.run.plugins.iter().any(|plugin| plugin.digest == digest) {
            let plugin = scenario.plugin.component.description();
            let then = self.header.run.plugins.iter().find(|it| it.name == plugin.name);
            let then = then.map_or_else(|| "another one".to_owned(), |it| format!("{} ({})", it.version, it.digest));
            return Some(format!(
                "{name}: the plugin `{}` is {} ({digest}) now, and was {then} in the run",
                plugin.name, plugin.version
            ));
        }
        let then = self.header.scenarios.iter().find(|it| it.name == *name)?.target.clone();
        let now = target_of(plan, of).map(|target| target.to_string());
        (then != now).then(|| {
            let text = |target: Option<String>| target.unwrap_or_else(|| "none".to_owned());
            format!("{name}: the target is {} now, and was {} in the run", text(now), text(then))
        })
    }
}

/// How the suite of an earlier run is read again.
pub(crate) fn suite_input(
    folder: &RunFolder,
    run: &RunInfo,
    text: String,
    engine: Engine,
    lookup: Lookup,
) -> SuiteInput {
    SuiteInput {
        name: folder.suite().display().to_string(),
        text,
        folder: PathBuf::from(&run.suite_folder),
        environment: run.environment.clone(),
        sets: run.overrides.clone(),
        lookup,
        engine,
        cores: 1,
        workers: Some(1),
        allow_native: false,
    }
}

/// Has each of the plan's scenarios remove what it left; gives what came of it, by scenario. `force` takes another plugin
/// or another target than the run's.
///
/// # Errors
/// When nothing was tried: something differs from the run, or is not there.
pub async fn clean_up(
    past: &Past,
    plan: &Plan,
    folder: &RunFolder,
    force: bool,
    tell: &mut dyn FnMut(RemovalProgress),
) -> Result<Vec<(String, Removed)>, CleanupError> {
    let scenarios = || plan.scenarios.iter().zip(&plan.suite.scenarios);
    let differences: Vec<String> = scenarios().filter_map(|(it, of)| past.difference(plan, it, of)).collect();
    if !differences.is_empty() && !force {
        let text = differences.join("\n");
        return Err(CleanupError::Changed(format!("{text}\nnothing was removed; --force does it all the same")));
    }
    let secrets = Secrets::read(plan).map_err(CleanupError::Suite)?;
    let (incidents, mut reported) = Incidents::channel();
    let session = Session::new(plan, &secrets, folder, &past.header.run.id, incidents)?;
    let (_stop, stopped) = watch::channel(false);
    let mut outcomes = Vec::new();
    for (planned, scenario) in scenarios() {
        let name = planned.plugin.name.clone();
        let tags = Tags::new([("scenario", name.as_str())]);
        let (mut context, threads) = session.environment(&planned.plugin, &scenario.plugin, tags)?;
        adapt(&mut context, scenario, planned);
        let ledger = past.ledger.scenario(&name);
        context.ledger = Some(Arc::clone(&ledger));
        let worker = threads.worker(stopped.clone(), false)?;
        let runner = Runner::new(&planned.plugin.component, worker, Arc::new(context))?;
        let removed = tokio::select! {
            removed = remove(&runner, &ledger, &name, tell) => removed?,
            never = secrets.keep_fresh() => match never {},
        };
        outcomes.push((name, removed));
        while let Ok(incident) = reported.try_recv() {
            stream::log(&incident);
        }
    }
    Ok(outcomes)
}
