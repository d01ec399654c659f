//! Calls about runs: created from a pipeline, carried out by the cluster, shown as last reported.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cluster::template::WorkflowTemplate;
use crate::cluster::{TransitionError, WorkflowKey, WorkflowOrigin};
use crate::kfp::error::ApiError;
use crate::kfp::json::{ApiResult, PageBody, nothing, parse_id, read, write};
use crate::kfp::list::ColumnValue;
use crate::kfp::rows::experiment::StorageState;
use crate::kfp::rows::run::{RUNS, Run, RuntimeConfig, Source, name_suffix};
use crate::kfp::spec::Spec;
use crate::kfp::store::Store;
use crate::kfp::table::namespace_key;
use crate::query::Query;
use crate::timestamp::{Timestamp, seconds};

/// A pipeline's version, or with none named the latest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionReference {
    #[serde(alias = "pipelineId")]
    pipeline_id: Option<String>,
    #[serde(alias = "pipelineVersionId")]
    pipeline_version_id: Option<String>,
}

/// The body of a creation. Fields that only the server sets are read and ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunRequest {
    #[serde(alias = "experimentId")]
    experiment_id: Option<String>,
    #[serde(alias = "displayName")]
    display_name: Option<String>,
    description: Option<String>,
    #[serde(alias = "pipelineVersionReference")]
    pipeline_version_reference: Option<VersionReference>,
    #[serde(alias = "pipelineSpec")]
    pipeline_spec: Option<Value>,
    #[serde(alias = "runtimeConfig")]
    runtime_config: Option<RuntimeConfig>,
    #[serde(alias = "serviceAccount")]
    service_account: Option<String>,
    #[serde(alias = "pluginsOutput")]
    plugins_output: Option<IgnoredAny>,
    #[serde(rename = "pipeline_version_id", alias = "pipelineVersionId")]
    _pipeline_version_id: Option<IgnoredAny>,
    #[serde(rename = "plugins_input", alias = "pluginsInput")]
    _plugins_input: Option<IgnoredAny>,
    #[serde(rename = "run_id", alias = "runId")]
    _run_id: Option<IgnoredAny>,
    #[serde(rename = "storage_state", alias = "storageState")]
    _storage_state: Option<IgnoredAny>,
    #[serde(rename = "created_at", alias = "createdAt")]
    _created_at: Option<IgnoredAny>,
    #[serde(rename = "scheduled_at", alias = "scheduledAt")]
    _scheduled_at: Option<IgnoredAny>,
    #[serde(rename = "finished_at", alias = "finishedAt")]
    _finished_at: Option<IgnoredAny>,
    #[serde(rename = "state")]
    _state: Option<IgnoredAny>,
    #[serde(rename = "error")]
    _error: Option<IgnoredAny>,
    #[serde(rename = "run_details", alias = "runDetails")]
    _run_details: Option<IgnoredAny>,
    #[serde(rename = "recurring_run_id", alias = "recurringRunId")]
    _recurring_run_id: Option<IgnoredAny>,
    #[serde(rename = "state_history", alias = "stateHistory")]
    _state_history: Option<IgnoredAny>,
}

/// A run that passed all checks and waits for its turn at the cluster.
pub(crate) struct PreparedRun {
    experiment: Uuid,
    input: RunRequest,
    source: Source,
    spec_name: String,
    template: Arc<WorkflowTemplate>,
}

/// A run that the server or the controller is about to create.
pub(crate) struct NewRun {
    pub(crate) experiment: Uuid,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) service_account: Arc<str>,
    pub(crate) source: Source,
    pub(crate) runtime_config: Option<Box<RuntimeConfig>>,
    pub(crate) workflow_name: Cow<'static, str>,
    pub(crate) template: Arc<WorkflowTemplate>,
    /// The recurring run that makes it, and the second of its trigger.
    pub(crate) recurring: Option<(Uuid, i64)>,
    /// The API server makes the run, and so knows it at once; else the controller does.
    pub(crate) by_server: bool,
}

const CREATE: &str = "Failed to create a run";

impl Store {
    /// The first half of POST /runs: everything that needs no cluster.
    pub(crate) fn prepare_run(&mut self, body: &[u8]) -> Result<PreparedRun, ApiError> {
        let mut input: RunRequest = read(body)?;
        if input.display_name.as_deref().unwrap_or_default().is_empty() {
            return Err(ApiError::internal(CREATE, "Invalid input error: Run name cannot be empty"));
        }
        if input.plugins_output.is_some() {
            return Err(ApiError::aborted(CREATE, "plugins_output is set by the server only"));
        }
        let experiment = self.experiment_for(CREATE, input.experiment_id.as_deref())?;
        let reference = input.pipeline_version_reference.as_ref();
        let (source, spec) = self.source(CREATE, reference, input.pipeline_spec.take(), false)?;
        let none = Map::new();
        let parameters = input.runtime_config.as_ref().map_or(&none, |c| &c.parameters);
        spec.check_parameters(parameters).map_err(|cause| ApiError::invalid(CREATE, cause.to_string()))?;
        let template = spec
            .template(parameters)
            .map_err(|cause| ApiError::internal(CREATE, &format!("Failed to generate the ExecutionSpec: {cause}")))?;
        Ok(PreparedRun { experiment, input, source, spec_name: spec.name().to_owned(), template })
    }

    /// The experiment that is named, or the default one.
    pub(crate) fn experiment_for(&self, context: &str, id: Option<&str>) -> Result<Uuid, ApiError> {
        match id.filter(|id| !id.is_empty()) {
            None => Ok(self.default_experiment),
            Some(id) => {
                let found = self.experiments.get(parse_id(id));
                Ok(found.ok_or_else(|| ApiError::not_found(context, "Experiment", id))?.experiment_id)
            }
        }
    }

    /// The pipeline that is meant, by reference or in full. What is to follow the latest version (`follow`) keeps no
    /// version.
    pub(crate) fn source(
        &self,
        context: &str,
        reference: Option<&VersionReference>,
        inline: Option<Value>,
        follow: bool,
    ) -> Result<(Source, Arc<Spec>), ApiError> {
        let Some(reference) = reference else {
            let value = inline.ok_or_else(|| {
                ApiError::internal(context, "Failed to fetch a template with an empty pipeline spec manifest")
            })?;
            let spec = Spec::from_json(value).map_err(|cause| ApiError::internal(context, &cause.to_string()))?;
            return Ok((Source::Inline(Arc::clone(&spec)), spec));
        };
        let missing = |noun: &str, id: &str| {
            ApiError::internal(context, &format!("ResourceNotFoundError: {noun} {id} not found"))
        };
        let pipeline = reference.pipeline_id.as_deref().unwrap_or_default();
        let named = reference.pipeline_version_id.as_deref().filter(|id| !id.is_empty());
        let version = match named {
            Some(id) => self.versions.get(parse_id(id)).ok_or_else(|| missing("PipelineVersion", id))?,
            None => self.latest_version(parse_id(pipeline)).ok_or_else(|| missing("Pipeline", pipeline))?,
        };
        let source = if follow && named.is_none() {
            Source::Latest { pipeline: version.pipeline_id }
        } else {
            Source::Version { pipeline: version.pipeline_id, version: version.pipeline_version_id }
        };
        Ok((source, Arc::clone(&version.pipeline_spec)))
    }

    /// The second half of POST /runs, when its turn has come.
    pub(crate) fn create_run(&mut self, prepared: PreparedRun) -> ApiResult {
        let PreparedRun { experiment, input, source, spec_name, template } = prepared;
        let (id, _) = self.start_run(NewRun {
            experiment,
            display_name: input.display_name.unwrap_or_default(),
            description: input.description.unwrap_or_default(),
            service_account: self.service_account(input.service_account),
            source,
            runtime_config: input.runtime_config.and_then(RuntimeConfig::unless_empty),
            workflow_name: Cow::Owned(spec_name),
            template,
            recurring: None,
            by_server: true,
        });
        self.get_run(&id.to_string())
    }

    /// Makes a run at the instant that the cluster was last advanced to.
    pub(crate) fn start_run(&mut self, new: NewRun) -> (Uuid, WorkflowKey) {
        let now = self.cluster.now();
        let id = self.id();
        let namespace = self.pod_namespace(new.experiment);
        let origin = WorkflowOrigin {
            owner: new.recurring.map(|(id, _)| id),
            is_known: new.by_server,
            cache_scope: namespace_key(&namespace).as_u64_pair().0,
        };
        let workflow = self.cluster.create(new.template, origin);
        let mut workflow_name = new.workflow_name.into_owned();
        if new.recurring.is_none() {
            workflow_name.push('-');
            workflow_name.push_str(&name_suffix(id));
        }
        let nominal = new.recurring.filter(|_| !new.by_server).and_then(|(_, at)| u32::try_from(at).ok());
        let run = Run {
            id,
            experiment: new.experiment,
            namespace,
            display_name: new.display_name,
            description: new.description,
            service_account: new.service_account,
            source: new.source,
            runtime_config: new.runtime_config,
            storage: StorageState::Available,
            workflow_name,
            workflow,
            recurring: new.recurring,
            created: seconds(now),
            scheduled: nominal.unwrap_or(seconds(now)),
        };
        if let Some(experiment) = self.experiments.get_mut(new.experiment) {
            experiment.last_run_created_at = Timestamp::of(now);
        }
        if new.by_server {
            self.telemetry.runs += 1;
            self.runs.insert(run);
        } else {
            self.unreported.insert(workflow, run);
        }
        (id, workflow)
    }

    /// The service account that is named, or the usual one.
    pub(crate) fn service_account(&self, named: Option<String>) -> Arc<str> {
        match named.filter(|s| !s.is_empty()) {
            Some(named) => named.into(),
            None if self.config.multi_user => "default-editor".into(),
            None => "pipeline-runner".into(),
        }
    }

    /// GET /runs
    pub(crate) fn list_runs(&self, query: &Query) -> ApiResult {
        let parent = self.parent_of_list(query);
        let column = |run: &Run, key: &str| match key {
            "state" | "status" => Some(ColumnValue::text(self.cluster.get(run.workflow)?.state.name())),
            "finished_at" => {
                Some(ColumnValue::Number(self.cluster.get(run.workflow)?.finished.map_or(0, seconds).into()))
            }
            _ => None,
        };
        let page = RUNS.page(&self.runs, parent, query, column)?;
        let mut cache = self.run_json.borrow_mut();
        let rows = page.rows.into_iter().filter_map(|run| Some((run, self.cluster.get(run.workflow)?)));
        let rows: Vec<Arc<RawValue>> =
            rows.map(|(run, workflow)| cache.get(run, workflow)).collect::<Result<_, _>>().map_err(not_serialized)?;
        let rows: Vec<&RawValue> = rows.iter().map(|row| &**row).collect();
        write(&PageBody { name: "runs", rows, total: page.total, next: page.next })
    }

    /// GET /runs/{id}
    pub(crate) fn get_run(&self, id: &str) -> ApiResult {
        let context = format!("Failed to get a run: Failed to fetch run {id}");
        let run = self.run(&context, id)?;
        let workflow = self.cluster.get(run.workflow);
        let workflow = workflow.ok_or_else(|| ApiError::not_found(&context, "Run", id))?;
        let json = self.run_json.borrow_mut().get(run, workflow).map_err(not_serialized)?;
        Ok(json.get().as_bytes().to_vec())
    }

    /// DELETE /runs/{id}, allowed while it runs.
    pub(crate) fn delete_run(&mut self, id: &str) -> ApiResult {
        let run = self.runs.remove(parse_id(id));
        let run = run.ok_or_else(|| ApiError::not_found("Failed to delete a run", "Run", id))?;
        self.run_json.get_mut().invalidate(run.id);
        if let Some(workflow) = self.cluster.remove(run.workflow) {
            self.deleted.push(self.cluster.now(), run, workflow);
        }
        self.telemetry.runs -= 1;
        nothing()
    }

    /// POST /runs/{id}:terminate
    pub(crate) fn terminate_run(&mut self, id: &str) -> ApiResult {
        let context = "Failed to terminate a run";
        let workflow = self.run(context, id)?.workflow;
        self.cluster
            .terminate(workflow)
            .map_err(|_| ApiError::invalid(context, format!("Failed to terminate a run {id}. Row not found")))?;
        nothing()
    }

    /// POST /runs/{id}:retry
    pub(crate) fn retry_run(&mut self, id: &str) -> ApiResult {
        let context = "Failed to retry a run";
        let workflow = self.run(context, id)?.workflow;
        self.cluster.retry(workflow).map_err(|error| {
            let text = match error {
                TransitionError::NeverReported => {
                    format!("Failed to retry run {id} due to error fetching workflow manifest")
                }
                TransitionError::NotFailed | TransitionError::Over => {
                    "Workflow must be Failed/Error to retry".to_owned()
                }
            };
            ApiError::aborted(context, text)
        })?;
        nothing()
    }

    /// POST /runs/{id}:archive and :unarchive
    pub(crate) fn archive_run(&mut self, id: &str, storage: StorageState) -> ApiResult {
        let context = match storage {
            StorageState::Available => "Failed to unarchive a run",
            StorageState::Archived => "Failed to archive a run",
        };
        let experiment = self.run(context, id)?.experiment;
        let closed = self.experiments.get(experiment).is_some_and(|e| e.storage_state == StorageState::Archived);
        if storage == StorageState::Available && closed {
            let text = format!("Failed to unarchive run {id} as experiment {experiment} must be un-archived first");
            return Err(ApiError::precondition(context, text));
        }
        self.set_run_storage(parse_id(id), storage);
        nothing()
    }

    /// GET /runs/{id}/nodes/{node}/artifacts/{name}:read: artifacts of this kind of pipelines are not in the API.
    pub(crate) fn read_artifact(&self, id: &str, name: &str) -> ApiResult {
        let context = format!("failed to read artifact {name:?} of run {id:?}");
        let workflow = self.run(&context, id)?.workflow;
        if self.cluster.get(workflow).is_none_or(|w| w.reported().next().is_none()) {
            return Err(ApiError::internal(&context, "read artifact from run with v2 IR spec is not supported"));
        }
        Err(ApiError::not_found(&context, "artifact", name))
    }

    /// Archives a run, or takes it out of the archive.
    pub(crate) fn set_run_storage(&mut self, id: Uuid, storage: StorageState) {
        if let Some(run) = self.runs.get_mut(id) {
            run.storage = storage;
            self.run_json.get_mut().invalidate(id);
        }
    }

    /// The run with this id.
    pub(crate) fn run(&self, context: &str, id: &str) -> Result<&Run, ApiError> {
        self.runs.get(parse_id(id)).ok_or_else(|| ApiError::not_found(context, "Run", id))
    }
}

fn not_serialized(error: serde_json::Error) -> ApiError {
    ApiError::internal("Failed to write a run", &error.to_string())
}
