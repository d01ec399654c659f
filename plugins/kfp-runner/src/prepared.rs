//! What a scenario needs on the server before it starts: its pipeline and its experiment, for each tenant.

use kperf_plugin_sdk::{Failure, Scenario, artifacts};
use serde::{Deserialize, Serialize};

use crate::{
    api::{ApiError, experiments, pipelines, pipelines::File, runs::Reference},
    created::{self, Kind},
    params::{Common, PipelineParams},
    spec::{Content, Graph, Spec},
    tenant::Tenant,
};

/// How many tenants are prepared at once.
const AT_ONCE: usize = 8;

/// What `setup` hands to the instances.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Prepared {
    /// By the tenant's place.
    pub pipelines: Vec<TenantPipeline>,
    /// The pipeline's components; empty if they are not known.
    pub graph: Graph,
}

/// A tenant's pipeline, and where its runs go.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TenantPipeline {
    /// The uploaded pipeline's id.
    pub pipeline: String,
    /// The id of its only version.
    pub version: String,
    /// The experiment's id; empty for the server's default one.
    pub experiment: String,
}

impl<'a> From<&'a TenantPipeline> for Reference<'a> {
    fn from(of: &'a TenantPipeline) -> Self {
        Self { pipeline_id: &of.pipeline, pipeline_version_id: &of.version }
    }
}

/// In which experiment runs are started.
#[derive(Clone, Copy, Debug)]
pub enum RunsIn<'a> {
    /// In the one of this name. Without a name in the server's default one; servers with namespaces have none, so that there it
    /// is one named like everything of the scenario.
    Experiment(Option<&'a str>),
    /// In one that the iteration creates.
    ExperimentOfIteration,
}

impl Prepared {
    /// Uploads the pipeline for every tenant, and finds or creates the experiment.
    pub async fn new(
        scenario: &Scenario,
        common: &Common,
        pipeline: &PipelineParams,
        runs_in: RunsIn<'_>,
    ) -> Result<Self, Failure> {
        let tenants = common.tenants.tenants()?;
        let (file, graph) = read_pipeline(pipeline).await?;
        let marker = common.marker(scenario);
        let prepare = async |tenant: &Tenant| {
            let experiment = match runs_in {
                RunsIn::Experiment(name) => name.or(tenant.is_named().then_some(&*marker)),
                RunsIn::ExperimentOfIteration => None,
            };
            let (pipeline, version) = upload(tenant, &marker, file.clone()).await?;
            let experiment = match experiment {
                None => String::new(),
                Some(name) => find_or_create(tenant, name).await?,
            };
            Ok::<_, ApiError>(TenantPipeline { pipeline, version, experiment })
        };
        Ok(Self { pipelines: tenants.each(AT_ONCE, prepare).await?, graph })
    }

    /// The pipeline of the tenant at a place.
    pub fn of_tenant(&self, place: usize) -> TenantPipeline {
        self.pipelines.get(place).cloned().unwrap_or_default()
    }
}

/// Uploads a pipeline. Returns its id and its version's.
pub async fn upload(tenant: &Tenant, name: &str, file: File) -> Result<(String, String), ApiError> {
    let upload = pipelines::upload(tenant, name, file);
    let (pipeline, _) = created::create(Kind::Pipeline, tenant, name, upload, |(id, _)| id).await?;
    let version = pipelines::latest_version(tenant, &pipeline).await?;
    Ok((pipeline, version))
}

/// The id of the experiment with a name, which is created if it is not there.
async fn find_or_create(tenant: &Tenant, name: &str) -> Result<String, ApiError> {
    if let Some(id) = experiments::find(tenant, name).await? {
        return Ok(id);
    }
    match create_experiment(tenant, name).await {
        // Another scenario was faster.
        Err(ApiError::Refused { status: 409, message }) => {
            let found = experiments::find(tenant, name).await?;
            found.ok_or(ApiError::Refused { status: 409, message })
        }
        other => other,
    }
}

/// The experiment for runs of which the suite names none. Servers with namespaces have no default experiment, so there one is
/// created. Returns its id; an empty one is the server's default.
pub async fn own_experiment(tenant: &Tenant, marker: &str) -> Result<String, ApiError> {
    if tenant.is_named() { create_experiment(tenant, marker).await } else { Ok(String::new()) }
}

/// Creates an experiment. Returns its id.
pub async fn create_experiment(tenant: &Tenant, name: &str) -> Result<String, ApiError> {
    let create = experiments::create(tenant, name);
    created::create(Kind::Experiment, tenant, name, create, String::as_str).await
}

/// Reads the pipeline's file, and changes it as the parameters say. Returns what to upload, and the pipeline's components.
pub async fn read_pipeline(params: &PipelineParams) -> Result<(File, Graph), Failure> {
    let content = artifacts::read(&params.pipeline).await;
    let content = content.map_err(|failure| Failure::new("pipeline", failure.message))?;
    let in_file = |failure: Failure| failure.at(&params.pipeline);
    match Content::read(&content).map_err(in_file)? {
        Content::Archive => Ok((File::Granted(params.pipeline.clone()), Graph::default())),
        Content::Spec(spec) => {
            let graph = spec.graph();
            Ok((File::Content(patched(spec, params).map_err(in_file)?.to_bytes()), graph))
        }
    }
}

/// The specification with what the parameters change.
///
/// # Errors
/// A failure of the kind `pipeline` if a quantity is none.
pub fn patched(mut spec: Spec, params: &PipelineParams) -> Result<Spec, Failure> {
    spec.limit(&params.resources)?;
    if !params.cache {
        spec.disable_caching();
    }
    Ok(spec)
}
