//! Filling a server up to a size before anything is measured. What is there already counts.

use std::{cell::Cell, future::Future};

use futures_util::{StreamExt, stream};
use kperf_plugin_sdk::{Failure, log};
use serde::Deserialize;
use serde_json::Map;

use crate::{
    api::{
        ApiError, pipelines,
        pipelines::File,
        recurring::{self, NewRecurringRun, Trigger},
        resource::{ListQuery, Resource, list, list_request},
        runs::{self, Config, NewRun, Reference},
    },
    created::{self, Kind},
    prepared::{self, TenantPipeline},
    spec::generate,
    tenant::Tenant,
};

/// How many things are created at once.
const AT_ONCE: usize = 16;

/// How many of a hundred creations may fail.
const TOLERATED: usize = 2;

/// How many there should be of each, over all tenants together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrefillSizes {
    pub pipelines: u64,
    pub versions: u64,
    pub experiments: u64,
    pub runs: u64,
    pub recurring_runs: u64,
}

impl PrefillSizes {
    /// Whether nothing is wanted.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The share of one of so many tenants.
    pub fn share(&self, tenants: usize) -> Self {
        let share = |number: u64| number.div_ceil(tenants.max(1) as u64);
        Self {
            pipelines: share(self.pipelines),
            versions: share(self.versions),
            experiments: share(self.experiments),
            runs: share(self.runs),
            recurring_runs: share(self.recurring_runs),
        }
    }
}

/// How many things of a kind there are. Of versions, those of a pipeline.
pub async fn count(tenant: &Tenant, resource: Resource, pipeline: &str) -> Result<u64, ApiError> {
    let request = list_request(tenant, resource, pipeline, &ListQuery { page_size: "1", ..ListQuery::default() });
    Ok(list(request, resource).await?.total)
}

/// Uploads the pipeline that prefilled runs are runs of: the smallest one there can be. Tenants with a namespace also get
/// an experiment.
pub async fn prepare(tenant: &Tenant, marker: &str) -> Result<TenantPipeline, ApiError> {
    let file = File::Content(generate::smallest().to_bytes());
    let (pipeline, version) = prepared::upload(tenant, marker, file).await?;
    let experiment = prepared::own_experiment(tenant, marker).await?;
    Ok(TenantPipeline { pipeline, version, experiment })
}

/// Creates what is missing for a tenant; everything belongs to `of`, and its name begins with `marker`.
pub async fn fill(tenant: &Tenant, marker: &str, of: &TenantPipeline, wanted: &PrefillSizes) -> Result<(), Failure> {
    let missing = async |resource, wanted: u64| -> Result<u64, Failure> {
        if wanted == 0 {
            return Ok(0);
        }
        Ok(wanted.saturating_sub(count(tenant, resource, &of.pipeline).await?))
    };
    let file = || File::Content(generate::smallest().to_bytes());
    let number = missing(Resource::Pipelines, wanted.pipelines).await?;
    many("pipelines", number, |number| async move {
        let name = format!("{marker}.p{number}");
        let upload = pipelines::upload(tenant, &name, file());
        created::create(Kind::Pipeline, tenant, &name, upload, |(id, _)| id).await.map(|_| ())
    })
    .await?;
    let number = missing(Resource::Versions, wanted.versions).await?;
    // They go with their pipeline, which is in the ledger.
    many("versions", number, |number| async move {
        let name = format!("{marker}.v{number}");
        pipelines::upload_version(tenant, &of.pipeline, &name, file()).await.map(|_| ())
    })
    .await?;
    let number = missing(Resource::Experiments, wanted.experiments).await?;
    many("experiments", number, |number| async move {
        prepared::create_experiment(tenant, &format!("{marker}.e{number}")).await.map(|_| ())
    })
    .await?;
    let number = missing(Resource::RecurringRuns, wanted.recurring_runs).await?;
    many("recurring runs", number, |number| recurring_run(tenant, format!("{marker}.s{number}"), of)).await?;
    let number = missing(Resource::Runs, wanted.runs).await?;
    runs(tenant, marker, of, number).await
}

/// Creates so many runs, and waits for none.
pub async fn runs(tenant: &Tenant, marker: &str, of: &TenantPipeline, number: u64) -> Result<(), Failure> {
    many("runs", number, |number| run(tenant, format!("{marker}.r{number}"), of)).await
}

async fn run(tenant: &Tenant, name: String, of: &TenantPipeline) -> Result<(), ApiError> {
    let parameters = Map::new();
    let run = NewRun {
        display_name: &name,
        experiment_id: &of.experiment,
        pipeline_version_reference: Reference::from(of),
        runtime_config: Config { parameters: &parameters },
    };
    let create = runs::create(tenant, &run);
    created::create(Kind::Run, tenant, &name, create, |(run, _)| &run.run_id).await.map(|_| ())
}

/// A recurring run that is switched off: only its row is wanted.
async fn recurring_run(tenant: &Tenant, name: String, of: &TenantPipeline) -> Result<(), ApiError> {
    let parameters = Map::new();
    let run = NewRecurringRun {
        display_name: &name,
        experiment_id: &of.experiment,
        pipeline_version_reference: Reference::from(of),
        runtime_config: Config { parameters: &parameters },
        max_concurrency: 1,
        no_catchup: true,
        mode: "DISABLE",
        trigger: Trigger::PeriodicSchedule { interval_second: 86_400 },
    };
    let create = recurring::create(tenant, &run);
    created::create(Kind::RecurringRun, tenant, &name, create, |(run, _)| &run.recurring_run_id).await.map(|_| ())
}

/// Creates so many things, several at once, and says how far it has come. A few failures are tolerated.
async fn many<F: Future<Output = Result<(), ApiError>>>(
    what: &str,
    number: u64,
    create: impl Fn(u64) -> F,
) -> Result<(), Failure> {
    if number == 0 {
        return Ok(());
    }
    log::info(&format!("prefill: {number} {what} are missing, creating them"));
    let done = Cell::new(0_u64);
    let step = (number / 10).max(1);
    let tolerated = 5 + usize::try_from(number).unwrap_or(usize::MAX) / 100 * TOLERATED;
    let mut failures = 0;
    let mut creations = stream::iter(0..number).map(&create).buffer_unordered(AT_ONCE);
    while let Some(result) = creations.next().await {
        done.set(done.get() + 1);
        if let Err(error) = result {
            failures += 1;
            if failures > tolerated || error.is_interrupted() {
                let place = format_args!("the prefill stops after {} {what}", done.get());
                return Err(Failure::from(error).at(place));
            }
        }
        if done.get().is_multiple_of(step) {
            log::info(&format!("prefill: {} of {number} {what}", done.get()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_share_what_is_wanted() {
        let wanted = PrefillSizes { runs: 10_000, experiments: 1, ..PrefillSizes::default() };
        let share = wanted.share(3);
        assert_eq!((share.runs, share.experiments, share.pipelines), (3334, 1, 0));
        assert!(!share.is_nothing());
    }
}
