//! `kperf-host report DIR --resend`: sending what the reporters of a run could not deliver.
//!
//! In come a run's folder and its outbox; out comes what has arrived now and what has not. The suite that the folder keeps says
//! where each reporter's messages go, and with which credentials, which are looked up anew. No plugin is asked for anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kperf_metrics::Tags;
use kperf_plan::{Lookup, Plan, Secrets};
use kperf_plugin::{Delivery, Engine, Incidents, Message, Outbox, OutboxError, Resender};
use kperf_results::{RunFolder, RunInfo, matrix_state};
use kperf_suite::Diagnostics;
use tokio::sync::{mpsc, watch};

use crate::cleanup::suite_input;
use crate::session::{EnvironmentError, Session};

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
        /// The path that was given.
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
    /// A plugin can't be given what its suite says.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
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
pub async fn resend(folder: &RunFolder, engine: &Engine, lookup: Lookup) -> Result<Resent, ResendError> {
    let no_run = |why: String| ResendError::NoRun { dir: folder.path().display().to_string(), why };
    let run = if folder.is_matrix() {
        matrix_state(folder).map_err(|error| no_run(error.to_string()))?.header.run
    } else {
        let header = kperf_results::header(folder).map_err(|error| no_run(error.to_string()))?;
        header.ok_or_else(|| no_run("its journal does not begin with one".to_owned()))?.run
    };
    let Some((outbox, messages)) = Outbox::open(&folder.outbox())? else { return Ok(Resent::default()) };
    if messages.is_empty() {
        return Ok(Resent::default());
    }
    let plan = planned(folder, &run, &messages, engine, lookup).await?;
    send(folder, &run, &plan, Arc::new(outbox), messages).await
}

/// The plan of those reporters whose messages have not arrived.
async fn planned(
    folder: &RunFolder,
    run: &RunInfo,
    messages: &[Message],
    engine: &Engine,
    lookup: Lookup,
) -> Result<Plan, ResendError> {
    let text = std::fs::read_to_string(folder.suite()).map_err(|error| ResendError::NoRun {
        dir: folder.path().display().to_string(),
        why: format!("suite.toml: {error}"),
    })?;
    let reporters = messages.iter().map(|message| message.reporter.as_str()).collect();
    let input = suite_input(folder, run, text, engine.clone(), lookup);
    input.replan_reporters(&reporters).await.map_err(|error| ResendError::Suite(error.diagnostics))
}

async fn send(
    folder: &RunFolder,
    run: &RunInfo,
    plan: &Plan,
    outbox: Arc<Outbox>,
    messages: Vec<Message>,
) -> Result<Resent, ResendError> {
    let secrets = Secrets::read(plan).map_err(ResendError::Suite)?;
    let (incidents, _reported) = Incidents::channel();
    let session = Session::new(plan, &secrets, folder, &run.id, incidents)?;
    let (_stop, stopped) = watch::channel(false);
    let (_until, until) = watch::channel(Some(Instant::now() + TOGETHER));
    let (changes, _) = mpsc::unbounded_channel();
    let mut senders = BTreeMap::new();
    for (planned, reporter) in plan.reporters.iter().zip(&plan.suite.reporters) {
        let environment = session.environment(planned, &reporter.plugin, Tags::default());
        let sender = environment.and_then(|(mut context, threads)| {
            context.delivery = Some(Delivery {
                outbox: Arc::clone(&outbox),
                patience: PATIENCE,
                until: until.clone(),
                changes: changes.clone(),
            });
            let worker = threads.worker(stopped.clone(), false)?;
            Ok(Resender::new(planned.component.description(), worker, Arc::new(context)))
        });
        senders.insert(planned.name.as_str(), sender);
    }
    let mut resent = Resent::default();
    for message in messages {
        let sent = match senders.get(message.reporter.as_str()) {
            Some(Ok(sender)) => sender.resend(&message).await,
            Some(Err(why)) => Err(why.to_string()),
            None => Err("the suite has no such reporter any more".to_owned()),
        };
        match sent {
            Ok(()) => resent.arrived += 1,
            Err(why) => resent.failed.push(format!("{}: {}: {why}", message.reporter, message.key)),
        }
    }
    Ok(resent)
}
