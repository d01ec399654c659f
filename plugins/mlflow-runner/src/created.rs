//! Everything that is created on the server goes through here, so that nothing is left behind.
//!
//! A workspace that this run has made is in the host's ledger, and everything in it goes with it. In workspaces that were
//! there before, each experiment and each prompt is. No request that removes something goes out without its tenant's header.

use std::{future::Future, time::Duration};

use kperf_plugin_sdk::{Entry, Failure, clock, ledger, log};

use crate::{
    api::{ApiError, ErrorKind, artifacts, experiments, prompts, workspaces},
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

/// What the description of a workspace says that a run has made; the ids of all runs that use it follow.
const MADE: &str = "made by kperf, run ";

/// The runs that use a workspace with this description; none if no run has made it.
fn runs_of(description: &str) -> Vec<&str> {
    description.strip_prefix(MADE).map(|runs| runs.split(", ").collect()).unwrap_or_default()
}

/// Creates a tenant's workspace if it is not there. Returns whether this run has created it. One that another run has made is
/// shared with it: whichever ends last removes it.
pub async fn workspace(tenant: &Tenant, run: &str) -> Result<bool, ApiError> {
    // Names of workspaces have no slash.
    let name = format!("{}/{run}", tenant.name());
    let description = format!("{MADE}{run}");
    let create = workspaces::create(tenant, &description);
    match noted(WORKSPACE, &name, create).await {
        Ok(_) => Ok(true),
        Err(ApiError { kind: ErrorKind::Conflict, .. }) => {
            share(tenant, run, &name).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Notes in the description of a workspace which another run has made that this one uses it, too.
async fn share(tenant: &Tenant, run: &str, name: &str) -> Result<(), ApiError> {
    let text = workspaces::description(tenant).await?.unwrap_or_default();
    let runs = runs_of(&text);
    if runs.is_empty() || runs.contains(&run) {
        return Ok(());
    }
    let description = format!("{text}, {run}");
    if let Err(error) = noted(WORKSPACE, name, workspaces::describe(tenant, &description)).await {
        let tenant = tenant.name();
        let others = runs.join(", ");
        log::warn(&format!("the workspace {tenant} goes when run {others} ends, used or not: {}", error.message));
    }
    Ok(())
}

/// Creates an experiment. Returns its id.
pub async fn experiment(tenant: &Tenant, name: &str) -> Result<String, ApiError> {
    let create = experiments::create(tenant, name);
    if tenant.is_created() {
        return create.await;
    }
    noted(EXPERIMENT, &format!("{}/{name}", tenant.name()), create).await
}

/// Creates a prompt without a version.
pub async fn prompt(tenant: &Tenant, name: &str) -> Result<String, ApiError> {
    let create = prompts::create(tenant, name);
    if tenant.is_created() {
        return create.await;
    }
    noted(PROMPT, &format!("{}/{name}", tenant.name()), create).await
}

/// Sends a request that creates something, with an entry in the ledger.
async fn noted(
    kind: &str,
    name: &str,
    create: impl Future<Output = Result<String, ApiError>>,
) -> Result<String, ApiError> {
    ledger::create(kind, name, create, String::as_str, ApiError::is_refusal).await
}

/// Removes things from the server; workspaces last, because they go with everything in them.
pub async fn cleanup(entries: Vec<Entry>) -> Result<(), Failure> {
    ledger::remove(entries, |entry| entry.kind == WORKSPACE, AT_ONCE, remove).await
}

/// Removes a thing, and tries again while the server may only be busy or starting.
async fn remove(entry: Entry) -> Result<(), Failure> {
    let (workspace, name) = entry.name.split_once('/').ok_or_else(|| entry.unknown())?;
    // All tenants that the run ever had may be here, each a series of its own.
    let tenant = Tenant::untagged(workspace).map_err(|failure| Failure::new("cleanup", failure.message))?;
    let mut tries = 1;
    loop {
        let removed = match entry.kind.as_str() {
            WORKSPACE => remove_workspace(&tenant, name, entry.id.is_some()).await,
            EXPERIMENT => remove_experiment(&tenant, name).await,
            PROMPT => prompts::remove(&tenant, name).await,
            _ => return Err(entry.unknown()),
        };
        match removed {
            Err(error) if error.is_passing() && tries < TRIES => tries += 1,
            removed => return Ok(removed?),
        }
        clock::sleep(PAUSE).await;
    }
}

/// Removes a workspace that a run has made: files first, because they could not be reached without it.
async fn remove_workspace(tenant: &Tenant, run: &str, answered: bool) -> Result<(), ApiError> {
    match workspaces::description(tenant).await? {
        None => Ok(()),
        Some(text) => match fate(&text, run, answered) {
            Fate::Removed => {
                artifacts::remove_all(tenant).await?;
                workspaces::remove(tenant).await
            }
            Fate::Left(others) => workspaces::describe(tenant, &others).await.map(drop),
            Fate::NotOurs => {
                let name = tenant.name();
                log::warn(&format!("the workspace {name} (`{text}`) was not made by run {run}: it stays"));
                Ok(())
            }
        },
    }
}

/// What becomes of a workspace when a run ends.
#[derive(Debug, PartialEq)]
enum Fate {
    Removed,
    /// To the other runs that use it, with this description.
    Left(String),
    /// Somebody else has one of the same name by now.
    NotOurs,
}

/// Judges by the workspace's description; `answered` is whether the server has said that the run made it, for not every server keeps
/// descriptions.
fn fate(text: &str, run: &str, answered: bool) -> Fate {
    let runs = runs_of(text);
    if text.is_empty() && answered || runs == [run] {
        return Fate::Removed;
    }
    if !runs.contains(&run) {
        return Fate::NotOurs;
    }
    let others: Vec<&str> = runs.into_iter().filter(|it| *it != run).collect();
    Fate::Left(format!("{MADE}{}", others.join(", ")))
}

/// Removes an experiment, found by its name: ids may be used again.
async fn remove_experiment(tenant: &Tenant, name: &str) -> Result<(), ApiError> {
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
        assert_eq!(fate("made by kperf, run r1", "r1", false), Fate::Removed);
        assert_eq!(fate("", "r1", true), Fate::Removed);
        assert_eq!(fate("", "r1", false), Fate::NotOurs);
        assert_eq!(fate("made by kperf, run r2", "r1", true), Fate::NotOurs);
        assert_eq!(fate("the team's", "r1", true), Fate::NotOurs);
    }

    #[test]
    fn the_last_run_that_uses_a_workspace_removes_it() {
        let shared = "made by kperf, run r1, r2, r3";
        assert_eq!(runs_of(shared), ["r1", "r2", "r3"]);
        assert_eq!(fate(shared, "r1", true), Fate::Left("made by kperf, run r2, r3".into()));
        assert_eq!(fate("made by kperf, run r2, r3", "r3", true), Fate::Left("made by kperf, run r2".into()));
        assert_eq!(fate("made by kperf, run r2", "r2", true), Fate::Removed);
    }
}
