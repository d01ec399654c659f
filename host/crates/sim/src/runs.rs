//! Runs: created from a pipeline, carried out by the cluster, shown as last reported.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::blueprint::Blueprint;
use crate::cluster::{Change, Key, Refused, State, Workflow};
use crate::draw::Draw;
use crate::error::ApiError;
use crate::experiments::Storage;
use crate::list::{Field, Listing};
use crate::query::Query;
use crate::spec::Spec;
use crate::stamp::{Stamp, seconds};
use crate::store::{Answer, PageBody, Store, nothing, parse_id, read, write};
use crate::table::Row;

/// A run as the server stores it; its state is the cluster's.
#[derive(Debug)]
pub(crate) struct Run {
    id: Uuid,
    experiment: Uuid,
    display_name: String,
    description: String,
    service_account: String,
    source: Source,
    runtime_config: Option<RuntimeConfig>,
    pub(crate) storage: Storage,
    /// Name of the workflow in the cluster.
    workflow_name: String,
    workflow: Key,
    created: u32,
}

impl Row for Run {
    fn id(&self) -> Uuid {
        self.id
    }
    fn created(&self) -> u32 {
        self.created
    }
    fn parent(&self) -> Option<Uuid> {
        Some(self.experiment)
    }
}

/// Where a run's pipeline came from.
#[derive(Debug)]
enum Source {
    Version { pipeline: Uuid, version: Uuid },
    Inline(Arc<Spec>),
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
        "namespace",
        "experiment_id",
        "recurring_run_id",
    ],
    column: |run, key| {
        Some(match key {
            "run_id" | "id" => Field::id(run.id),
            "display_name" | "name" => Field::Text(Cow::Owned(run.display_name.clone())),
            "created_at" | "scheduled_at" => Field::Number(run.created.into()),
            "description" => Field::Text(Cow::Owned(run.description.clone())),
            "storage_state" => Field::text(run.storage.name()),
            "experiment_id" => Field::id(run.experiment),
            "namespace" | "recurring_run_id" => Field::text(""),
            _ => return None,
        })
    },
};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuntimeConfig {
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    parameters: Map<String, Value>,
    #[serde(default, alias = "pipelineRoot", skip_serializing_if = "String::is_empty")]
    pipeline_root: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionReference {
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

#[derive(Serialize)]
struct RunBody<'a> {
    experiment_id: Uuid,
    run_id: Uuid,
    display_name: &'a str,
    storage_state: Storage,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_version_reference: Option<ReferenceBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_spec: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_config: Option<&'a RuntimeConfig>,
    service_account: &'a str,
    created_at: Stamp,
    scheduled_at: Stamp,
    finished_at: Stamp,
    #[serde(skip_serializing_if = "is_unspecified")]
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_details: Option<DetailsBody>,
    state_history: Vec<ChangeBody>,
}

#[derive(Serialize)]
struct ReferenceBody {
    pipeline_id: Uuid,
    pipeline_version_id: Uuid,
}

#[derive(Serialize)]
struct DetailsBody {
    task_details: Vec<TaskBody>,
}

#[derive(Serialize)]
struct TaskBody {
    run_id: Uuid,
    task_id: Uuid,
    display_name: String,
    create_time: Stamp,
    start_time: Stamp,
    end_time: Stamp,
    #[serde(skip_serializing_if = "is_unspecified")]
    state: State,
    state_history: Vec<ChangeBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    child_tasks: Vec<ChildBody>,
}

#[derive(Serialize)]
struct ChildBody {
    pod_name: String,
}

#[derive(Serialize)]
struct ChangeBody {
    update_time: Stamp,
    #[serde(skip_serializing_if = "is_unspecified")]
    state: State,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
fn is_unspecified(state: &State) -> bool {
    *state == State::RuntimeStateUnspecified
}

fn changes(history: &[Change]) -> Vec<ChangeBody> {
    history.iter().map(|c| ChangeBody { update_time: Stamp::Epoch(c.at), state: c.state }).collect()
}

impl Run {
    fn body<'a>(&'a self, workflow: &'a Workflow) -> RunBody<'a> {
        let (pipeline_version_reference, pipeline_spec) = match &self.source {
            Source::Version { pipeline, version } => {
                (Some(ReferenceBody { pipeline_id: *pipeline, pipeline_version_id: *version }), None)
            }
            Source::Inline(spec) => (None, Some(&*spec.rendered)),
        };
        let created = Stamp::Epoch(self.created);
        let tasks: Vec<TaskBody> = self.tasks(workflow).collect();
        RunBody {
            experiment_id: self.experiment,
            run_id: self.id,
            display_name: &self.display_name,
            storage_state: self.storage,
            description: &self.description,
            pipeline_version_reference,
            pipeline_spec,
            runtime_config: self.runtime_config.as_ref(),
            service_account: &self.service_account,
            created_at: created,
            scheduled_at: created,
            finished_at: Stamp::or_epoch(workflow.finished),
            state: workflow.state,
            run_details: (!tasks.is_empty()).then_some(DetailsBody { task_details: tasks }),
            state_history: changes(&workflow.history),
        }
    }

    fn tasks<'a>(&'a self, workflow: &'a Workflow) -> impl Iterator<Item = TaskBody> + 'a {
        let stream = Draw::new(self.id.as_u64_pair().0);
        workflow.reported().map(move |(index, plan, known)| TaskBody {
            run_id: self.id,
            task_id: stream.of(index as u64).uuid(),
            display_name: if index == 0 { self.workflow_name.clone() } else { plan.name.to_string() },
            create_time: Stamp::Epoch(self.created),
            start_time: Stamp::of(known.start),
            end_time: known.end.map_or(Stamp::Never, Stamp::of),
            state: known.state,
            state_history: changes(&known.history),
            child_tasks: plan
                .next_in_graph()
                .map(|child| {
                    // What Argo makes of a node's name is a hash; here any stable number does.
                    let hash = stream.of(u64::from(child)).of(1).bits() >> 32;
                    ChildBody { pod_name: format!("{}-{hash}", self.workflow_name) }
                })
                .collect(),
        })
    }
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
        let experiment = match input.experiment_id.as_deref().filter(|id| !id.is_empty()) {
            None => self.default_experiment,
            Some(id) => {
                let found = self.experiments.get(parse_id(id));
                found.ok_or_else(|| ApiError::not_found(CREATE, "Experiment", id))?.experiment_id
            }
        };
        let (source, spec) = self.source(input.pipeline_version_reference.as_ref(), input.pipeline_spec.take())?;
        let none = Map::new();
        let parameters = input.runtime_config.as_ref().map_or(&none, |c| &c.parameters);
        spec.check_parameters(parameters).map_err(|text| ApiError::invalid(CREATE, text))?;
        let blueprint = spec
            .blueprint(parameters)
            .map_err(|cause| ApiError::internal(CREATE, &format!("Failed to generate the ExecutionSpec: {cause}")))?;
        Ok(Prepared { experiment, input, source, spec_name: spec.name().to_owned(), blueprint })
    }

    fn source(
        &self,
        reference: Option<&VersionReference>,
        inline: Option<Value>,
    ) -> Result<(Source, Arc<Spec>), ApiError> {
        let Some(reference) = reference else {
            let value = inline.ok_or_else(|| {
                ApiError::internal(CREATE, "Failed to fetch a template with an empty pipeline spec manifest")
            })?;
            let spec = Spec::from_json(value).map_err(|cause| ApiError::internal(CREATE, &cause))?;
            return Ok((Source::Inline(Arc::clone(&spec)), spec));
        };
        let missing =
            |noun: &str, id: &str| ApiError::internal(CREATE, &format!("ResourceNotFoundError: {noun} {id} not found"));
        let pipeline = reference.pipeline_id.as_deref().unwrap_or_default();
        let version = match reference.pipeline_version_id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => self.versions.get(parse_id(id)).ok_or_else(|| missing("PipelineVersion", id))?,
            None => self.latest_version(parse_id(pipeline)).ok_or_else(|| missing("Pipeline", pipeline))?,
        };
        let source = Source::Version { pipeline: version.pipeline_id, version: version.pipeline_version_id };
        Ok((source, Arc::clone(&version.pipeline_spec)))
    }

    /// The second half of POST /runs, when its turn has come.
    pub(crate) fn create_run(&mut self, prepared: Prepared) -> Answer {
        let now = self.catch_up();
        let Prepared { experiment, input, source, spec_name, blueprint } = prepared;
        let id = self.id();
        let config = input.runtime_config.filter(|c| !c.parameters.is_empty() || !c.pipeline_root.is_empty());
        let run = Run {
            id,
            experiment,
            display_name: input.display_name.unwrap_or_default(),
            description: input.description.unwrap_or_default(),
            service_account: input
                .service_account
                .filter(|s| !s.is_empty())
                .unwrap_or_else(|| "pipeline-runner".to_owned()),
            source,
            runtime_config: config,
            storage: Storage::Available,
            workflow_name: format!("{spec_name}-{}", suffix(id)),
            workflow: self.cluster.create(blueprint),
            created: seconds(now),
        };
        if let Some(experiment) = self.experiments.get_mut(experiment) {
            experiment.last_run_created_at = Stamp::of(now);
        }
        self.telemetry.runs += 1;
        self.runs.insert(run);
        self.get_run(&id.to_string())
    }

    /// GET /runs
    pub(crate) fn list_runs(&self, query: &Query) -> Answer {
        let parent = query.get("experiment_id").filter(|id| !id.is_empty()).map(parse_id);
        let column = |run: &Run, key: &str| {
            let workflow = self.cluster.get(run.workflow)?;
            match key {
                "state" | "status" => Some(Field::text(workflow.state.name())),
                "finished_at" => Some(Field::Number(workflow.finished.map_or(0, seconds).into())),
                _ => None,
            }
        };
        let page = LISTING.page(&self.runs, parent, query, column)?;
        let rows = page.rows.into_iter().filter_map(|run| Some(run.body(self.cluster.get(run.workflow)?))).collect();
        write(&PageBody { name: "runs", rows, total: page.total, next: page.next })
    }

    /// GET /runs/{id}
    pub(crate) fn get_run(&self, id: &str) -> Answer {
        let context = format!("Failed to get a run: Failed to fetch run {id}");
        let run = self.run(&context, id)?;
        let workflow = self.cluster.get(run.workflow);
        write(&run.body(workflow.ok_or_else(|| ApiError::not_found(&context, "Run", id))?))
    }

    /// DELETE /runs/{id}, allowed while it runs.
    pub(crate) fn delete_run(&mut self, id: &str) -> Answer {
        let run = self.runs.remove(parse_id(id));
        let run = run.ok_or_else(|| ApiError::not_found("Failed to delete a run", "Run", id))?;
        self.cluster.remove(run.workflow);
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
        if let Some(run) = self.runs.get_mut(parse_id(id)) {
            run.storage = storage;
        }
        nothing()
    }

    fn run(&self, context: &str, id: &str) -> Result<&Run, ApiError> {
        self.runs.get(parse_id(id)).ok_or_else(|| ApiError::not_found(context, "Run", id))
    }
}

/// Five letters or digits, as Kubernetes appends them to generated names.
fn suffix(id: Uuid) -> String {
    const ALPHABET: &[u8; 32] = b"bcdfghjklmnpqrstvwxz2456789013ae";
    let bits = id.as_u64_pair().1;
    (0..5).filter_map(|i| ALPHABET.get((bits >> (5 * i)) as usize % 32)).map(|c| char::from(*c)).collect()
}
