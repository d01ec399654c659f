//! `kperf-host cleanup`: removing what a run has left on its targets, long after it.
//!
//! In come a run's folder and the plan that its suite makes today; out goes what is gone and what is left. The same plugin
//! has to find the same target again: whatever differs from the run is refused, unless the user insists.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kperf_metrics::{Registry, Tags};
use kperf_plugin::{Incidents, Ledger, LedgerError, Runner};
use kperf_suite::{Diagnostics, Scenario};
use tokio::sync::watch;

use super::lending::{self, Lender};
use super::opening::{SIMULATED, target_of};
use super::removal::{self, Removed};
use super::{adapt, monitor, secrets};
use crate::plan::{Plan, PlannedScenario};
use crate::report::{self, Opening};
use crate::terminal::Display;

/// The suite's text in the run's folder, as it was read.
pub(super) const SUITE: &str = "suite.toml";

/// Why nothing could be removed.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// The folder is none of a run.
    #[error("{dir} is not the folder of a run: {why}; give the one with run.json in it")]
    NoRun {
        /// The folder.
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
    /// The target or the machine refused something.
    #[error("{0}")]
    Machine(String),
}

/// A run that is over.
pub struct Past {
    /// What its journal begins with.
    pub opening: Opening,
    /// The suite as it was read.
    pub suite: String,
    ledger: Ledger,
}

impl Past {
    /// Looks into a run's folder, and keeps others from cleaning it up at the same time.
    ///
    /// # Errors
    /// When it is no run's, or the run still goes on.
    pub fn open(dir: &Path) -> Result<Self, CleanupError> {
        let no_run = |why: String| CleanupError::NoRun { dir: dir.display().to_string(), why };
        let opening = report::opening(dir).map_err(|error| no_run(error.to_string()))?;
        let opening = opening.ok_or_else(|| no_run("its journal does not begin with one".to_owned()))?;
        let ledger = Ledger::open(dir)?;
        let suite = std::fs::read_to_string(dir.join(SUITE)).map_err(|error| no_run(format!("{SUITE}: {error}")))?;
        Ok(Self { opening, suite, ledger })
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
        let simulated = self.opening.scenarios.iter().filter(|it| it.target.as_deref() == Some(SIMULATED));
        for scenario in simulated {
            let book = self.ledger.book(&scenario.name);
            for entry in book.entries()? {
                book.removed(entry.number)?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// What differs from the run, if anything does.
    fn difference(&self, plan: &Plan, scenario: &PlannedScenario, of: &Scenario) -> Option<String> {
        let name = &scenario.part.name;
        let digest = format!("sha256:{}", scenario.part.plugin.digest());
        if !self.opening.run.plugins.iter().any(|plugin| plugin.digest == digest) {
            let plugin = scenario.part.plugin.description();
            let then = self.opening.run.plugins.iter().find(|it| it.name == plugin.name);
            let then = then.map_or_else(|| "another one".to_owned(), |it| format!("{} ({})", it.version, it.digest));
            return Some(format!(
                "{name}: the plugin `{}` is {} ({digest}) now, and was {then} in the run",
                plugin.name, plugin.version
            ));
        }
        let then = self.opening.scenarios.iter().find(|it| it.name == *name)?.target.clone();
        let now = target_of(plan, of);
        (then != now).then(|| {
            let text = |target: Option<String>| target.unwrap_or_else(|| "none".to_owned());
            format!("{name}: the target is {} now, and was {} in the run", text(now), text(then))
        })
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
    dir: &Path,
    force: bool,
    display: &Display,
) -> Result<Vec<(String, Removed)>, CleanupError> {
    let scenarios = || plan.scenarios.iter().zip(&plan.suite.scenarios);
    let differences: Vec<String> = scenarios().filter_map(|(it, of)| past.difference(plan, it, of)).collect();
    if !differences.is_empty() && !force {
        let text = differences.join("\n");
        return Err(CleanupError::Changed(format!("{text}\nnothing was removed; --force does it all the same")));
    }
    let secrets = secrets::read(plan)
        .map_err(|findings| CleanupError::Suite(Diagnostics::new(plan.suite.sources.clone(), findings)))?;
    let (incidents, mut heard) = Incidents::channel();
    let lender = Lender {
        suite: &plan.suite,
        out: dir,
        run: &past.opening.run.id,
        secrets: &secrets,
        simulated: None,
        doubles: BTreeMap::new(),
        registry: Registry::default(),
        epoch: Instant::now(),
        incidents,
        facts: kperf_plugin::Facts::default(),
        trust: lending::trust(plan).map_err(CleanupError::Machine)?,
    };
    let (_stop, stopped) = watch::channel(false);
    let mut outcomes = Vec::new();
    for (planned, scenario) in scenarios() {
        let name = planned.part.name.clone();
        let (mut context, lending) = lender
            .lend(&planned.part, &scenario.plugin, Tags::new([("scenario", name.as_str())]))
            .map_err(CleanupError::Machine)?;
        adapt(&mut context, scenario, planned);
        let book = past.ledger.book(&name);
        context.ledger = Some(Arc::clone(&book));
        let worker = lending.worker(stopped.clone(), false).map_err(CleanupError::Machine)?;
        let runner = Runner::new(&planned.part.plugin, worker, Arc::new(context))
            .map_err(|error| CleanupError::Machine(error.to_string()))?;
        let removed = tokio::select! {
            removed = removal::remove(&runner, &book, &name, display) => removed?,
            never = secrets.keep_fresh() => match never {},
        };
        outcomes.push((name, removed));
        while let Ok(incident) = heard.try_recv() {
            monitor::told(incident);
        }
    }
    Ok(outcomes)
}
