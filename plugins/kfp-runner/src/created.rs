//! Everything that is created on the server goes through here, so that the host's ledger knows of it before the request
//! leaves, and is removed by `cleanup`.

use std::future::Future;

use futures_util::{StreamExt, stream};
use kperf_plugin_sdk::{
    Entry, Failure,
    ledger::{self, Pending},
};

use crate::{
    api::{ApiError, experiments, pipelines, recurring, runs},
    tenant::{self, Tenant, Tenants},
};

/// How many things are deleted at once.
const AT_ONCE: usize = 8;

/// The kinds of things that are created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    // In the order in which they have to go: what makes runs before runs, runs before what they are runs of.
    RecurringRun,
    Run,
    Pipeline,
    Experiment,
}

impl Kind {
    const ALL: [Self; 4] = [Self::RecurringRun, Self::Run, Self::Pipeline, Self::Experiment];

    fn word(self) -> &'static str {
        match self {
            Self::RecurringRun => "recurring_run",
            Self::Run => "run",
            Self::Pipeline => "pipeline",
            Self::Experiment => "experiment",
        }
    }

    fn of(entry: &Entry) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == entry.kind)
    }
}

/// Creates something: `request` sends the request, `id` takes the id out of its answer.
///
/// # Errors
/// What the request failed with. Unless the server has refused it, the thing stays in the ledger: it may be there.
pub async fn create<T>(
    kind: Kind,
    tenant: &Tenant,
    name: &str,
    request: impl Future<Output = Result<T, ApiError>>,
    id: impl FnOnce(&T) -> &str,
) -> Result<T, ApiError> {
    ledger::create(kind.word(), &full_name(tenant, name), request, id, ApiError::is_refusal).await
}

/// Notes something that the server has made by itself, because of what was created before.
pub fn found(kind: Kind, tenant: &Tenant, name: &str, id: &str) {
    Pending::new(kind.word(), &full_name(tenant, name)).created(id);
}

/// A name that also tells the namespace, because nothing else will when the entry is cleaned up. Neither namespaces nor
/// names made here have a slash; an experiment that the suite names may.
fn full_name(tenant: &Tenant, name: &str) -> String {
    let plain = !tenant.is_named() && !name.contains('/');
    if plain { name.to_owned() } else { format!("{}/{name}", tenant.namespace) }
}

fn parts(full: &str) -> (&str, &str) {
    full.split_once('/').unwrap_or(("", full))
}

/// Removes things from the server, in the order of their kinds.
pub async fn cleanup(tenants: &Tenants, entries: Vec<Entry>) -> Result<(), Failure> {
    ledger::remove(entries, Kind::of, AT_ONCE, |entry| remove(tenants, entry)).await
}

async fn remove(tenants: &Tenants, entry: Entry) -> Result<(), ApiError> {
    let kind = Kind::of(&entry).ok_or_else(|| entry.unknown())?;
    let (namespace, name) = parts(&entry.name);
    let tenant = tenant::of_namespace(tenants, namespace);
    let ids = match &entry.id {
        Some(id) => vec![id.clone()],
        None => match kind {
            Kind::RecurringRun => recurring::find(&tenant, name).await?,
            Kind::Run => runs::find(&tenant, name).await?,
            Kind::Pipeline => pipelines::find(&tenant, name).await?.into_iter().collect(),
            Kind::Experiment => experiments::find(&tenant, name).await?.into_iter().collect(),
        },
    };
    for id in ids {
        match kind {
            Kind::RecurringRun => remove_recurring(&tenant, &id).await?,
            Kind::Run => runs::remove(&tenant, &id).await?,
            Kind::Pipeline => pipelines::remove(&tenant, &id).await?,
            Kind::Experiment => experiments::remove(&tenant, &id).await?,
        }
    }
    Ok(())
}

/// Removes a recurring run, and then the runs that it has produced, also those that no poll has found.
async fn remove_recurring(tenant: &Tenant, id: &str) -> Result<(), ApiError> {
    recurring::remove(tenant, id).await?;
    loop {
        let page = runs::of_recurring(tenant, id, 200).await?;
        if page.is_empty() {
            return Ok(());
        }
        let removals = stream::iter(page).map(|run| async move { runs::remove(tenant, &run.run_id).await });
        let results: Vec<Result<(), ApiError>> = removals.buffer_unordered(AT_ONCE).collect().await;
        results.into_iter().collect::<Result<(), ApiError>>()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_namespace() {
        let tenant = Tenant { namespace: "team-1".into(), ..Tenant::default() };
        assert_eq!(parts(&full_name(&tenant, "kperf-x.1.2")), ("team-1", "kperf-x.1.2"));
        assert_eq!(parts(&full_name(&Tenant::default(), "kperf-x.1.2")), ("", "kperf-x.1.2"));
        assert_eq!(parts(&full_name(&Tenant::default(), "a/b")), ("", "a/b"));
    }

    #[test]
    fn what_makes_runs_goes_before_runs_and_those_before_the_rest() {
        assert!(Kind::ALL.is_sorted());
        assert!(Kind::RecurringRun < Kind::Run && Kind::Run < Kind::Pipeline && Kind::Pipeline < Kind::Experiment);
    }
}
