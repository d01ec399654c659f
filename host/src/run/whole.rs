//! What a matrix as a whole needs of a run: an identity, and reporters that hear of all cells together.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kperf_metrics::{Registry, Tags};
use kperf_plugin::{Incidents, Outbox};
use kperf_suite::Diagnostics;

use super::doubles::Doubles;
use super::lending::{self, Lender};
use super::observers::Post;
use super::reporters::{self, Starting, Unreported};
use super::{Interrupts, RunError, monitor, opening, secrets};
use crate::plan::Plan;
use crate::report::{RunInfo, ScenarioInfo};

/// What a run is known by.
pub struct Identity {
    /// The run.
    pub run: RunInfo,
    /// Its scenarios.
    pub scenarios: Vec<ScenarioInfo>,
    /// The suite's text without secrets.
    pub suite: String,
}

/// The identity of a run that begins now.
///
/// # Errors
/// When the suite's credentials can't be had.
pub fn identify(plan: &Plan) -> Result<Identity, RunError> {
    let secrets = secrets::read(plan)
        .map_err(|findings| RunError::Suite(Diagnostics::new(plan.suite.sources.clone(), findings)))?;
    let opening = opening::opening(plan, &secrets, None);
    let suite = secrets.redactor.redact(plan.suite.sources.text()).into_owned();
    Ok(Identity { run: opening.run, scenarios: opening.scenarios, suite })
}

/// What the reporters of a matrix as a whole have not managed.
pub struct Untold {
    /// Whether one of them is required.
    pub required: bool,
    /// How many of their messages have not been delivered.
    pub undelivered: usize,
}

/// Hands the summary of a matrix as a whole (the text of its `summary.json`) to the suite's reporters, and tells of those that
/// fail. `pass` says whether all is well.
///
/// # Errors
/// When the suite's credentials or certificates can't be had.
pub async fn report_whole(
    plan: &Plan,
    out: &Path,
    run: &str,
    summary: &str,
    pass: bool,
    interrupts: &Interrupts,
) -> Result<Untold, RunError> {
    let secrets = secrets::read(plan)
        .map_err(|findings| RunError::Suite(Diagnostics::new(plan.suite.sources.clone(), findings)))?;
    let (incidents, mut heard) = Incidents::channel();
    let doubles = Doubles::start(plan).map_err(RunError::Machine)?;
    let outbox = Arc::new(Outbox::create(out));
    let lender = Lender {
        suite: &plan.suite,
        out,
        run,
        secrets: &secrets,
        simulated: None,
        doubles: doubles.urls(),
        facts: kperf_plugin::Facts::default(),
        registry: Registry::default(),
        epoch: Instant::now(),
        incidents,
        trust: lending::trust(plan).map_err(RunError::Machine)?,
    };
    let mut starting = Vec::new();
    for (part, reporter) in plan.reporters.iter().zip(&plan.suite.reporters) {
        let tags = Tags::new([("reporter", part.name.as_str())]);
        let (context, lending) = lender.lend(part, &reporter.plugin, tags).map_err(RunError::Machine)?;
        let post = Post { plugin: part.plugin.clone(), context, lending };
        starting.push(Starting::new(post, reporter, &outbox).map_err(RunError::Machine)?);
    }
    let told = async {
        match reporters::ready(starting).await {
            Ok(ready) => reporters::tell_all(ready, summary, pass).await,
            Err((name, why)) => vec![Unreported { message: format!("reporter {name}: {why}"), required: true }],
        }
    };
    let unreported = tokio::select! {
        unreported = told => unreported,
        () = interrupts.twice() => Vec::new(),
        never = secrets.keep_fresh() => match never {},
    };
    let mut required = false;
    for Unreported { message, required: needed } in unreported {
        crate::terminal::error(&message);
        required |= needed;
    }
    while let Ok(incident) = heard.try_recv() {
        monitor::told(incident);
    }
    doubles.write(out, &secrets.redactor).map_err(|error| RunError::Folder { dir: out.to_owned(), error })?;
    Ok(Untold { required, undelivered: outbox.waiting() })
}
