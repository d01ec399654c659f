//! A fixture in every tenant's workspace, an experiment, a run, an artifact and a prompt: single operations work on it, and no
//! other tenant may see it.

use serde::{Deserialize, Serialize};

use crate::{
    api::{ApiError, artifacts, prompts, runs, runs::Run},
    created,
    tenant::Tenant,
};

/// The artifact's name, and its size in bytes.
pub const ARTIFACT: &str = "model.json";
pub const ARTIFACT_BYTES: u64 = 10_000;

/// An experiment with a run with an artifact. Names are short, because hundreds of these travel to every instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fixture {
    #[serde(rename = "e")]
    pub experiment: String,
    #[serde(rename = "r")]
    pub run: String,
    #[serde(rename = "u")]
    pub artifact_uri: String,
    /// Whether the run has an artifact: not where the suite wants none.
    #[serde(rename = "a")]
    pub has_artifact: bool,
}

/// The experiment's name, the same in every workspace: names are unique in a workspace only.
pub fn experiment_name(marker: &str) -> String {
    format!("{marker}-fixture")
}

/// What the names of all prompts begin with.
pub fn prompt_prefix(marker: &str) -> String {
    format!("{marker}-fixture-of-")
}

/// The name of the tenant's prompt, which names its owner.
pub fn prompt_name(marker: &str, tenant: &Tenant) -> String {
    format!("{}{}", prompt_prefix(marker), tenant.name())
}

/// Creates a tenant's fixture, with an artifact if it is to have one.
pub async fn make(tenant: &Tenant, marker: &str, has_artifact: bool) -> Result<Fixture, ApiError> {
    let experiment = created::experiment(tenant, &experiment_name(marker)).await?;
    let prompt = prompt_name(marker, tenant);
    created::prompt(tenant, &prompt).await?;
    prompts::create_version(tenant, &prompt, "Say whose this is: {{tenant}}").await?;
    let Run { run_id, artifact_uri, .. } = runs::create(tenant, &experiment).await?;
    runs::log_metric(tenant, &run_id, "metric1", 0.5).await?;
    runs::log_parameter(tenant, &run_id, "param1", "0.5").await?;
    if has_artifact {
        artifacts::put(tenant, &artifact_uri, ARTIFACT, ARTIFACT_BYTES).await?;
    }
    Ok(Fixture { experiment, run: run_id, artifact_uri, has_artifact })
}
