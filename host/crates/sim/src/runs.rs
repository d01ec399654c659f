//! Runs: created from a pipeline, carried out by the cluster, shown as last reported.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::blueprint::Blueprint;
use crate::cluster::{Key, Origin, Refused};
use crate::error::ApiError;
use crate::experiments::Storage;
use crate::list::{Field, Listing};
use crate::query::Query;
use crate::spec::Spec;
use crate::stamp::{Stamp, seconds};
use crate::store::{Answer, PageBody, Store, nothing, parse_id, read, write};
use crate::table::{Row, namespace_key};

/// A run as the server stores it; its state is the cluster's.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    pub(crate) experiment: Uuid,
    /// Where its pods live.
    pub(crate) namespace: Arc<str>,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) service_account: Arc<str>,
    pub(crate) source: Source,
    pub(crate) runtime_config: Option<Box<RuntimeConfig>>,
    pub(crate) storage: Storage,
    /// Name of the workflow in the cluster.
    pub(crate) workflow_name: String,
    pub(crate) workflow: Key,
    /// The recurring run that it came from, and the second that it stands for.
    pub(crate) recurring: Option<(Uuid, i64)>,
    pub(crate) created: u32,
    pub(crate) scheduled: u32,
}

impl Row for Run {
    fn id(&self) -> Uuid {
        self.id
    }
    fn created(&self) -> u32 {
        self.created
    }
    fn parents(&self) -> [Option<Uuid>; 3] {
        [Some(self.experiment), Some(namespace_key(&self.namespace)), self.recurring.map(|(id, _)| id)]
    }
}

/// Where a run's pipeline comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Version {
        pipeline: Uuid,
        version: Uuid,
    },
    /// Whatever version is the latest when a recurring run is due.
    Latest {
        pipeline: Uuid,
    },
    Inline(Arc<Spec>),
}

impl Source {
    /// As the API gives it back: by reference or in full.
    pub(crate) fn shown(&self) -> (Option<ReferenceBody>, Option<&RawValue>) {
        let reference = |pipeline_id, pipeline_version_id| Some(ReferenceBody { pipeline_id, pipeline_version_id });
        match self {
            Self::Version { pipeline, version } => (reference(*pipeline, Some(*version)), None),
            Self::Latest { pipeline } => (reference(*pipeline, None), None),
            Self::Inline(spec) => (None, Some(&spec.rendered)),
        }
    }
}

/// A pipeline and its version as the API shows them.
#[derive(Serialize)]
pub(crate) struct ReferenceBody {
    pipeline_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_version_id: Option<Uuid>,
}

const LISTING: Listing<Run> = Listing {
    noun: "Run",
    keys: &[
        "run_id",
        "id",
        "display_name",
        "name",
        "created_at",
        "finished_at",
        "scheduled_at",
        "description",
        "storage_state",
        "state",
        "status",
        "state_history",
        "runtime_details",
        "namespace",
        "experiment_id",
        "recurring_run_id",
    ],
    parent: Some("recurring_run_id"),
    column: |run, key| {
        Some(match key {
            "run_id" | "id" => Field::Id(run.id),
            "display_name" | "name" => Field::text(&run.display_name),
            "created_at" => Field::Number(run.created.into()),
            "scheduled_at" => Field::Number(run.scheduled.into()),
            "description" => Field::text(&run.description),
            "storage_state" => Field::text(run.storage.name()),
            "experiment_id" => Field::Id(run.experiment),
            "namespace" => Field::text(&run.namespace),
            "recurring_run_id" => run.recurring.map_or(Field::text(""), |(id, _)| Field::Id(id)),
            _ => return None,
        })
    },
};

/// What a run is given.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuntimeConfig {
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) parameters: Map<String, Value>,
    #[serde(default, alias = "pipelineRoot", skip_serializing_if = "String::is_empty")]
    pipeline_root: String,
}

impl RuntimeConfig {
    /// As it is stored: not at all if it says nothing.
    pub(crate) fn kept(self) -> Option<Box<Self>> {
        (!self.parameters.is_empty() || !self.pipeline_root.is_empty()).then(|| Box::new(self))
    }
}

/// A pipeline's version, or with none named the latest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionReference {
    #[serde(alias = "pipelineId")]
    pipeline_id: Option<String>,
    #[serde(alias = "pipelineVersionId")]
    pipeline_version_id: Option<String>,
}

/// What a client may send; what only the server sets is read and ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunIn {
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
pub(crate) struct Prepared {
    experiment: Uuid,
    input: RunIn,
    source: Source,
    spec_name: String,
    blueprint: Arc<Blueprint>,
}

/// A run that is about to be made.
pub(crate) struct NewRun {
    pub(crate) experiment: Uuid,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) service_account: Arc<str>,
    pub(crate) source: Source,
    pub(crate) runtime_config: Option<Box<RuntimeConfig>>,
    pub(crate) workflow_name: Cow<'static, str>,
    pub(crate) blueprint: Arc<Blueprint>,
    /// The recurring run that makes it, and the second that it stands for.
    pub(crate) recurring: Option<(Uuid, i64)>,
    /// The API server makes it, and so knows it at once.
    pub(crate) by_server: bool,
}

const CREATE: &str = "Failed to create a run";

impl Store {
    /// The first half of POST /runs: everything that needs no cluster.
    pub(crate) fn prepare_run(&mut self, body: &[u8]) -> Result<Prepared, ApiError> {
        let mut input: RunIn = read(body)?;
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
        spec.check_parameters(parameters).map_err(|text| ApiError::invalid(CREATE, text))?;
        let blueprint = spec
            .blueprint(parameters)
            .map_err(|cause| ApiError::internal(CREATE, &format!("Failed to generate the ExecutionSpec: {cause}")))?;
        Ok(Prepared { experiment, input, source, spec_name: spec.name().to_owned(), blueprint })
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
            let spec = Spec::from_json(value).map_err(|cause| ApiError::internal(context, &cause))?;
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
    pub(crate) fn create_run(&mut self, prepared: Prepared) -> Answer {
        self.catch_up();
        let Prepared { experiment, input, source, spec_name, blueprint } = prepared;
        let (id, _) = self.start_run(NewRun {
            experiment,
            display_name: input.display_name.unwrap_or_default(),
            description: input.description.unwrap_or_default(),
            service_account: self.service_account(input.service_account),
            source,
            runtime_config: input.runtime_config.and_then(RuntimeConfig::kept),
            workflow_name: Cow::Owned(spec_name),
            blueprint,
            recurring: None,
            by_server: true,
        });
        self.get_run(&id.to_string())
    }

    /// Makes a run at the instant that the cluster was last advanced to.
    pub(crate) fn start_run(&mut self, new: NewRun) -> (Uuid, Key) {
        let now = self.cluster.now();
        let id = self.id();
        let namespace = self.pod_namespace(new.experiment);
        let origin = Origin {
            owner: new.recurring.map(|(id, _)| id),
            is_known: new.by_server,
            cache_scope: namespace_key(&namespace).as_u64_pair().0,
        };
        let workflow = self.cluster.create(new.blueprint, origin);
        let mut workflow_name = new.workflow_name.into_owned();
        if new.recurring.is_none() {
            workflow_name.push('-');
            workflow_name.push_str(&suffix(id));
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
            storage: Storage::Available,
            workflow_name,
            workflow,
            recurring: new.recurring,
            created: seconds(now),
            scheduled: nominal.unwrap_or(seconds(now)),
        };
        if let Some(experiment) = self.experiments.get_mut(new.experiment) {
            experiment.last_run_created_at = Stamp::of(now);
        }
        if new.by_server {
            self.telemetry.runs += 1;
            self.runs.insert(run);
        } else {
            self.appearing.insert(workflow, run);
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
    pub(crate) fn list_runs(&self, query: &Query) -> Answer {
        let parent = self.parent_of_list(query);
        let column = |run: &Run, key: &str| match key {
            "state" | "status" => Some(Field::text(self.cluster.get(run.workflow)?.state.name())),
            "finished_at" => Some(Field::Number(self.cluster.get(run.workflow)?.finished.map_or(0, seconds).into())),
            _ => None,
        };
        let page = LISTING.page(&self.runs, parent, query, column)?;
        let mut written = self.written.borrow_mut();
        let rows = page.rows.into_iter().filter_map(|run| Some((run, self.cluster.get(run.workflow)?)));
        let rows: Vec<Arc<RawValue>> =
            rows.map(|(run, workflow)| written.get(run, workflow)).collect::<Result<_, _>>().map_err(unwritten)?;
        let rows: Vec<&RawValue> = rows.iter().map(|row| &**row).collect();
        write(&PageBody { name: "runs", rows, total: page.total, next: page.next })
    }

    /// GET /runs/{id}
    pub(crate) fn get_run(&self, id: &str) -> Answer {
        let context = format!("Failed to get a run: Failed to fetch run {id}");
        let run = self.run(&context, id)?;
        let workflow = self.cluster.get(run.workflow);
        let workflow = workflow.ok_or_else(|| ApiError::not_found(&context, "Run", id))?;
        let json = self.written.borrow_mut().get(run, workflow).map_err(unwritten)?;
        Ok(json.get().as_bytes().to_vec())
    }

    /// DELETE /runs/{id}, allowed while it runs.
    pub(crate) fn delete_run(&mut self, id: &str) -> Answer {
        let run = self.runs.remove(parse_id(id));
        let run = run.ok_or_else(|| ApiError::not_found("Failed to delete a run", "Run", id))?;
        self.written.get_mut().forget(run.id);
        if let Some(workflow) = self.cluster.remove(run.workflow) {
            self.gone.push(self.cluster.now(), run, workflow);
        }
        self.telemetry.runs -= 1;
        nothing()
    }

    /// POST /runs/{id}:terminate
    pub(crate) fn terminate_run(&mut self, id: &str) -> Answer {
        let context = "Failed to terminate a run";
        let workflow = self.run(context, id)?.workflow;
        self.cluster
            .terminate(workflow)
            .map_err(|_| ApiError::invalid(context, format!("Failed to terminate a run {id}. Row not found")))?;
        nothing()
    }

    /// POST /runs/{id}:retry
    pub(crate) fn retry_run(&mut self, id: &str) -> Answer {
        let context = "Failed to retry a run";
        let workflow = self.run(context, id)?.workflow;
        self.cluster.retry(workflow).map_err(|refused| {
            let text = match refused {
                Refused::NeverReported => format!("Failed to retry run {id} due to error fetching workflow manifest"),
                Refused::NotFailed | Refused::Over => "Workflow must be Failed/Error to retry".to_owned(),
            };
            ApiError::aborted(context, text)
        })?;
        nothing()
    }

    /// POST /runs/{id}:archive and :unarchive
    pub(crate) fn store_run(&mut self, id: &str, storage: Storage) -> Answer {
        let context = match storage {
            Storage::Available => "Failed to unarchive a run",
            Storage::Archived => "Failed to archive a run",
        };
        let experiment = self.run(context, id)?.experiment;
        let closed = self.experiments.get(experiment).is_some_and(|e| e.storage_state == Storage::Archived);
        if storage == Storage::Available && closed {
            let text = format!("Failed to unarchive run {id} as experiment {experiment} must be un-archived first");
            return Err(ApiError::precondition(context, text));
        }
        self.put_aside(parse_id(id), storage);
        nothing()
    }

    /// GET /runs/{id}/nodes/{node}/artifacts/{name}:read: artifacts of this kind of pipelines are not in the API.
    pub(crate) fn read_artifact(&self, id: &str, name: &str) -> Answer {
        let context = format!("failed to read artifact {name:?} of run {id:?}");
        let workflow = self.run(&context, id)?.workflow;
        if self.cluster.get(workflow).is_none_or(|w| w.reported().next().is_none()) {
            return Err(ApiError::internal(&context, "read artifact from run with v2 IR spec is not supported"));
        }
        Err(ApiError::not_found(&context, "artifact", name))
    }

    /// Archives a run or takes it back.
    pub(crate) fn put_aside(&mut self, id: Uuid, storage: Storage) {
        if let Some(run) = self.runs.get_mut(id) {
            run.storage = storage;
            self.written.get_mut().forget(id);
        }
    }

    /// The run with this id.
    pub(crate) fn run(&self, context: &str, id: &str) -> Result<&Run, ApiError> {
        self.runs.get(parse_id(id)).ok_or_else(|| ApiError::not_found(context, "Run", id))
    }
}

fn unwritten(error: serde_json::Error) -> ApiError {
    ApiError::internal("Failed to write a run", &error.to_string())
}

/// Five letters or digits, as Kubernetes appends them to generated names.
pub(crate) fn suffix(id: Uuid) -> String {
    const ALPHABET: &[u8; 32] = b"bcdfghjklmnpqrstvwxz2456789013ae";
    let bits = id.as_u64_pair().1;
    (0..5).filter_map(|i| ALPHABET.get((bits >> (5 * i)) as usize % 32)).map(|c| char::from(*c)).collect()
}
