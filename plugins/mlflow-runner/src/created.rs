//! Everything that is created on the server goes through here, so that nothing is left behind.
//!
//! A workspace that this run has made is in the host's ledger, and everything in it goes with it. In workspaces that were
//! there before, each experiment and each prompt is. No request that removes something goes out without its tenant's header.

use std::{future::Future, time::Duration};

use futures_util::{StreamExt, stream};
use kperf_plugin_sdk::{
    Entry, Failure, clock,
    ledger::{self, Pending},
    log,
};

use crate::{
    api::{Kind, Trouble, artifacts, experiments, prompts, workspaces},
    tenant::Tenant,
};

/// How many things are removed at once: a workspace with everything in it is a lot of work for the server's database.
const AT_ONCE: usize = 4;

/// How often a removal is tried, and how long to wait in between: long enough for a server that is being restarted.
const TRIES: u32 = 15;
const PAUSE: Duration = Duration::from_secs(2);

const WORKSPACE: &str = "workspace";
const EXPERIMENT: &str = "experiment";
const PROMPT: &str = "prompt";

/// What the description of a workspace says that a run has made.
fn description(run: &str) -> String {
    format!("made by kperf, run {run}")
}

/// Creates a tenant's workspace if it is not there. Returns whether it was made now, and so belongs to this run.
pub async fn workspace(tenant: &Tenant, run: &str) -> Result<bool, Trouble> {
    // Names of workspaces have no slash.
    let name = format!("{}/{run}", tenant.name());
    let description = description(run);
    let create = workspaces::create(tenant, &description);
    match noted(WORKSPACE, &name, create, String::as_str).await {
        Ok(_) => Ok(true),
        Err(Trouble { kind: Kind::Conflict, .. }) => Ok(false),
        Err(trouble) => Err(trouble),
    }
}

/// Creates an experiment. Returns its id.
pub async fn experiment(tenant: &Tenant, name: &str) -> Result<String, Trouble> {
    let create = experiments::create(tenant, name);
    if tenant.is_ours() {
        return create.await;
    }
    noted(EXPERIMENT, &format!("{}/{name}", tenant.name()), create, String::as_str).await
}

/// Creates a prompt without a version.
pub async fn prompt(tenant: &Tenant, name: &str) -> Result<String, Trouble> {
    let create = prompts::create(tenant, name);
    if tenant.is_ours() {
        return create.await;
    }
    noted(PROMPT, &format!("{}/{name}", tenant.name()), create, String::as_str).await
}

/// Sends a request that creates something, with an entry in the ledger. Unless the server has refused it, the entry stays: the
/// thing may be there.
async fn noted<T>(
    kind: &str,
    name: &str,
    create: impl Future<Output = Result<T, Trouble>>,
    id: impl FnOnce(&T) -> &str,
) -> Result<T, Trouble> {
    let pending = Pending::new(kind, name);
    match create.await {
        Ok(created) => {
            pending.created(id(&created));
            Ok(created)
        }
        Err(trouble) => {
            if trouble.is_refusal() {
                let _ = pending.refused(Failure::new("", ""));
            }
            Err(trouble)
        }
    }
}

/// Removes things from the server, several at once, and tells the ledger of each one that is gone.
///
/// # Errors
/// The first failure, with how many there were; all others are gone all the same.
pub async fn cleanup(entries: Vec<Entry>) -> Result<(), Failure> {
    let (whole, parts): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| entry.kind == WORKSPACE);
    let mut failures: Vec<Failure> = Vec::new();
    for entries in [parts, whole] {
        let removals = stream::iter(entries).map(|entry| async move {
            remove(&entry).await?;
            ledger::removed(entry.number);
            Ok::<(), Failure>(())
        });
        let results: Vec<Result<(), Failure>> = removals.buffer_unordered(AT_ONCE).collect().await;
        failures.extend(results.into_iter().filter_map(Result::err));
    }
    let more = failures.len().saturating_sub(1);
    match failures.into_iter().next() {
        None => Ok(()),
        Some(first) if more == 0 => Err(first),
        Some(first) => Err(Failure::new(&first.kind, format!("{} (and {more} more failures)", first.message))),
    }
}

/// Removes a thing, and tries again while the server may only be busy or starting.
async fn remove(entry: &Entry) -> Result<(), Failure> {
    let unknown = |what: &str| Failure::new("cleanup", format!("`{what}` is nothing that this plugin creates"));
    let (workspace, name) = entry.name.split_once('/').ok_or_else(|| unknown(&entry.name))?;
    let tenant = Tenant::new(workspace).map_err(|message| Failure::new("cleanup", message))?;
    let mut tries = 1;
    loop {
        let outcome = match entry.kind.as_str() {
            WORKSPACE => remove_workspace(&tenant, name, entry.id.is_some()).await,
            EXPERIMENT => remove_experiment(&tenant, name).await,
            PROMPT => prompts::remove(&tenant, name).await,
            other => return Err(unknown(other)),
        };
        match outcome {
            Err(trouble) if trouble.is_passing() && tries < TRIES => tries += 1,
            outcome => return Ok(outcome?),
        }
        clock::sleep(PAUSE).await;
    }
}

/// Removes a workspace that a run has made: files first, because they could not be reached without it.
async fn remove_workspace(tenant: &Tenant, run: &str, answered: bool) -> Result<(), Trouble> {
    match workspaces::description(tenant).await? {
        None => Ok(()),
        Some(text) if is_ours(&text, run, answered) => {
            artifacts::remove_all(tenant).await?;
            workspaces::remove(tenant).await
        }
        Some(text) => {
            let name = tenant.name();
            log::warn(&format!("the workspace {name} (`{text}`) was not made by run {run}: it stays"));
            Ok(())
        }
    }
}

/// Whether a workspace with this description was made by the run; `answered` is whether the server has said so. Somebody else may
/// have one of the same name by now, and not every server keeps descriptions.
fn is_ours(text: &str, run: &str, answered: bool) -> bool {
    text == description(run) || (text.is_empty() && answered)
}

/// Removes an experiment, found by its name: ids may be used again.
async fn remove_experiment(tenant: &Tenant, name: &str) -> Result<(), Trouble> {
    let Some(found) = experiments::by_name(tenant, name).await? else { return Ok(()) };
    if found.lifecycle_stage == "deleted" {
        return Ok(());
    }
    artifacts::remove_of_experiment(tenant, &found.experiment_id, &found.artifact_location).await?;
    experiments::remove(tenant, &found.experiment_id).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_run_has_made_is_removed() {
        assert!(is_ours("made by kperf, run r1", "r1", false));
        assert!(is_ours("", "r1", true));
        assert!(!is_ours("", "r1", false));
        assert!(!is_ours("made by kperf, run r2", "r1", true));
        assert!(!is_ours("the team's", "r1", true));
    }
}
