//! What a scenario needs on the server before it starts: its pipeline and its experiment, for each tenant.

use futures_util::{StreamExt, TryStreamExt, stream};
use kperf_plugin_sdk::{Failure, artifacts};
use serde::{Deserialize, Serialize};

use crate::{
    api::{Trouble, experiments, pipelines, pipelines::File},
    created::{self, Kind},
    params::PipelineParams,
    spec::{Content, Graph, Spec},
    tenant::{Tenant, Tenants},
};

/// How many tenants are prepared at once.
const AT_ONCE: usize = 8;

/// What `setup` hands to the instances.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stage {
    /// By the tenant's number.
    pub places: Vec<Place>,
    /// The pipeline's components; empty if they are not known.
    pub graph: Graph,
}

/// What a tenant has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Place {
    /// The uploaded pipeline.
    pub pipeline: String,
    /// Its only version.
    pub version: String,
    /// The experiment; empty for the server's default one.
    pub experiment: String,
}

impl Stage {
    /// Uploads the pipeline and finds or creates the experiment, for every tenant. Without an experiment's name, tenants
    /// with a namespace get one of their own: their server has no default one.
    pub async fn set(
        tenants: &Tenants,
        marker: &str,
        file: File,
        experiment: Option<&str>,
    ) -> Result<Vec<Place>, Failure> {
        let experiment = experiment.or(tenants.are_named().then_some(marker));
        let places = stream::iter(tenants.all()).map(|tenant| place(tenant, marker, file.clone(), experiment));
        Ok(places.buffered(AT_ONCE).try_collect().await?)
    }

    /// What a tenant has.
    pub fn place(&self, tenant: usize) -> Place {
        self.places.get(tenant).cloned().unwrap_or_default()
    }
}

async fn place(tenant: &Tenant, marker: &str, file: File, experiment: Option<&str>) -> Result<Place, Trouble> {
    let (pipeline, version) = upload(tenant, marker, file).await?;
    let experiment = match experiment {
        None => String::new(),
        Some(name) => find_or_create(tenant, name).await?,
    };
    Ok(Place { pipeline, version, experiment })
}

/// Uploads a pipeline. Returns its id and its version's.
pub async fn upload(tenant: &Tenant, name: &str, file: File) -> Result<(String, String), Trouble> {
    let upload = pipelines::upload(tenant, name, file);
    let (pipeline, _) = created::create(Kind::Pipeline, tenant, name, upload, |(id, _)| id).await?;
    let version = pipelines::latest_version(tenant, &pipeline).await?;
    Ok((pipeline, version))
}

/// The id of the experiment with a name, which is created if it is not there.
async fn find_or_create(tenant: &Tenant, name: &str) -> Result<String, Trouble> {
    if let Some(id) = experiments::find(tenant, name).await? {
        return Ok(id);
    }
    match create_experiment(tenant, name).await {
        // Another scenario was faster.
        Err(Trouble::Refused { status: 409, message }) => {
            let found = experiments::find(tenant, name).await?;
            found.ok_or(Trouble::Refused { status: 409, message })
        }
        other => other,
    }
}

/// Creates an experiment. Returns its id.
pub async fn create_experiment(tenant: &Tenant, name: &str) -> Result<String, Trouble> {
    let create = experiments::create(tenant, name);
    created::create(Kind::Experiment, tenant, name, create, String::as_str).await
}

/// Reads the pipeline's file, and changes it as the parameters say. Returns what to upload, and the pipeline's components.
pub async fn prepare(params: &PipelineParams) -> Result<(File, Graph), Failure> {
    let content = artifacts::read(&params.pipeline).await;
    let content = content.map_err(|failure| Failure::new("pipeline", failure.message))?;
    let wrong = |message: String| Failure::new("pipeline", format!("{}: {message}", params.pipeline));
    match Content::read(&content).map_err(wrong)? {
        Content::Archive => Ok((File::Granted(params.pipeline.clone()), Graph::default())),
        Content::Spec(spec) => {
            let graph = spec.graph();
            Ok((File::Content(patched(spec, params).map_err(wrong)?.to_bytes()), graph))
        }
    }
}

/// The specification with what the parameters change.
///
/// # Errors
/// A text for people if a quantity is none.
pub fn patched(mut spec: Spec, params: &PipelineParams) -> Result<Spec, String> {
    spec.limit(&params.resources)?;
    if !params.cache {
        spec.disable_caching();
    }
    Ok(spec)
}
