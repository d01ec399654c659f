//! `kperf-host report DIR --resend`: sending what the reporters of a run could not deliver.
//!
//! In come a run's folder and its outbox; out comes what has arrived now and what has not. The suite that the folder keeps says
//! where each reporter's messages go, and with which credentials, which are looked up anew. No plugin is asked for anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_metrics::{Registry, Tags};
use kperf_plugin::{Delivery, Incidents, Letter, Outbox, OutboxError, Resender};
use kperf_suite::Diagnostics;
use tokio::sync::watch;

use super::lending::{self, Lender};
use super::{cleanup::SUITE, secrets};
use crate::plan::{self, Plan};
use crate::report::{self, RunInfo};

/// How long each message is tried.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long all of them together are tried.
const TOGETHER: Duration = Duration::from_secs(120);

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// The folder is none of a run.
    #[error("{dir} is not the folder of a run: {why}; give the one with run.json in it")]
    NoRun {
        /// The folder.
        dir: String,
        /// What is wrong with it.
        why: String,
    },
    /// The outbox can't be used.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The suite, a plugin or a credential is not there any more.
    #[error("{}", .0.render(false))]
    Suite(Diagnostics),
    /// The machine refused something.
    #[error("{0}")]
    Machine(String),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Resent {
    /// Messages that have arrived.
    pub arrived: usize,
    /// Messages that have not, in words.
    pub failed: Vec<String>,
}

/// Sends each message of a run that has not arrived: the newest one of each key, once. Needs a `LocalRuntime`.
///
/// # Errors
/// When nothing was tried.
pub async fn resend(dir: &Path, engine: &kperf_plugin::Engine) -> Result<Resent, ResendError> {
    let no_run = |why: String| ResendError::NoRun { dir: dir.display().to_string(), why };
    let run = if report::is_matrix(dir) {
        report::cells_story(dir).map_err(|error| no_run(error.to_string()))?.opening.run
    } else {
        let opening = report::opening(dir).map_err(|error| no_run(error.to_string()))?;
        opening.ok_or_else(|| no_run("its journal does not begin with one".to_owned()))?.run
    };
    let Some((outbox, letters)) = Outbox::open(dir)? else { return Ok(Resent::default()) };
    if letters.is_empty() {
        return Ok(Resent::default());
    }
    let plan = planned(dir, &run, &letters, engine).await?;
    send(dir, &run, &plan, Arc::new(outbox), letters).await
}

/// The plan of those reporters whose messages have not arrived.
async fn planned(
    dir: &Path,
    run: &RunInfo,
    letters: &[Letter],
    engine: &kperf_plugin::Engine,
) -> Result<Plan, ResendError> {
    let path = dir.join(SUITE);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| ResendError::NoRun { dir: dir.display().to_string(), why: format!("{SUITE}: {error}") })?;
    let name = path.display().to_string();
    let options = kperf_suite::LoadOptions {
        environment: run.environment.as_deref(),
        sets: &run.overrides,
        lookup: &|name| std::env::var(name).ok(),
    };
    let source = kperf_suite::Source { name: &name, text: &text };
    let mut suite = kperf_suite::load(source, &options).map_err(ResendError::Suite)?;
    let wanted: BTreeSet<&str> = letters.iter().map(|letter| letter.reporter.as_str()).collect();
    suite.reporters.retain(|reporter| wanted.contains(reporter.plugin.name.value.as_str()));
    // Nothing else is needed, and it may not be here any more.
    suite.scenarios.clear();
    suite.collectors.clear();
    suite.natives.clear();
    suite.thresholds.clear();
    let targets: BTreeSet<&str> = suite.reporters.iter().filter_map(|it| it.plugin.target_name()).collect();
    suite.targets = suite.targets.iter().filter(|(name, _)| targets.contains(name.as_str())).map(owned).collect();
    plan::make(suite, Path::new(&run.suite_folder), engine, 1, Some(1), false)
        .await
        .map_err(|refused| ResendError::Suite(refused.diagnostics))
}

fn owned<V: Clone>((name, value): (&String, &V)) -> (String, V) {
    (name.clone(), value.clone())
}

async fn send(
    dir: &Path,
    run: &RunInfo,
    plan: &Plan,
    outbox: Arc<Outbox>,
    letters: Vec<Letter>,
) -> Result<Resent, ResendError> {
    let secrets = secrets::read(plan)
        .map_err(|findings| ResendError::Suite(Diagnostics::new(plan.suite.sources.clone(), findings)))?;
    let (incidents, _heard) = Incidents::channel();
    let lender = Lender {
        suite: &plan.suite,
        out: dir,
        run: &run.id,
        secrets: &secrets,
        simulated: None,
        doubles: BTreeMap::new(),
        registry: Registry::default(),
        epoch: Instant::now(),
        incidents,
        facts: kperf_plugin::Facts::default(),
        trust: lending::trust(plan).map_err(ResendError::Machine)?,
    };
    let (_stop, stopped) = watch::channel(false);
    let (_until, until) = watch::channel(Some(Instant::now() + TOGETHER));
    let mut senders = BTreeMap::new();
    for (part, reporter) in plan.reporters.iter().zip(&plan.suite.reporters) {
        let lent = lender.lend(part, &reporter.plugin, Tags::default());
        let sender = lent.and_then(|(mut context, lending)| {
            context.delivery = Some(Delivery { outbox: Arc::clone(&outbox), patience: PATIENCE, until: until.clone() });
            let worker = lending.worker(stopped.clone(), false)?;
            Ok(Resender::new(&part.plugin, worker, Arc::new(context)))
        });
        senders.insert(part.name.as_str(), sender);
    }
    let mut resent = Resent::default();
    for letter in letters {
        let sent = match senders.get(letter.reporter.as_str()) {
            Some(Ok(sender)) => sender.resend(&letter).await,
            Some(Err(why)) => Err(why.clone()),
            None => Err("the suite has no such reporter any more".to_owned()),
        };
        match sent {
            Ok(()) => resent.arrived += 1,
            Err(why) => resent.failed.push(format!("{}: {}: {why}", letter.reporter, letter.key)),
        }
    }
    Ok(resent)
}
