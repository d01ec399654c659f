//! Runs as the API shows them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::cluster::workflow::{RuntimeState, StateChange, Workflow};
use crate::kfp::rows::experiment::StorageState;
use crate::kfp::rows::run::{ReferenceBody, Run, RuntimeConfig};
use crate::random::RandomStream;
use crate::timestamp::Timestamp;

#[derive(Serialize)]
struct RunBody<'a> {
    experiment_id: Uuid,
    run_id: Uuid,
    display_name: &'a str,
    storage_state: StorageState,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_version_reference: Option<ReferenceBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_spec: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_config: Option<&'a RuntimeConfig>,
    service_account: &'a str,
    created_at: Timestamp,
    scheduled_at: Timestamp,
    finished_at: Timestamp,
    #[serde(skip_serializing_if = "is_unspecified")]
    state: RuntimeState,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_details: Option<DetailsBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recurring_run_id: Option<Uuid>,
    state_history: Vec<ChangeBody>,
}

#[derive(Serialize)]
struct DetailsBody<'a> {
    task_details: Vec<TaskBody<'a>>,
}

#[derive(Serialize)]
struct TaskBody<'a> {
    run_id: Uuid,
    task_id: Uuid,
    display_name: &'a str,
    create_time: Timestamp,
    start_time: Timestamp,
    end_time: Timestamp,
    #[serde(skip_serializing_if = "is_unspecified")]
    state: RuntimeState,
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
    update_time: Timestamp,
    #[serde(skip_serializing_if = "is_unspecified")]
    state: RuntimeState,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
fn is_unspecified(state: &RuntimeState) -> bool {
    *state == RuntimeState::Unspecified
}

fn changes(history: &[StateChange]) -> Vec<ChangeBody> {
    history.iter().map(|c| ChangeBody { update_time: Timestamp::Epoch(c.at), state: c.state }).collect()
}

/// Writes a run with its tasks.
pub(crate) fn rendered(run: &Run, workflow: &Workflow) -> Result<Box<RawValue>, serde_json::Error> {
    let (pipeline_version_reference, pipeline_spec) = run.source.shown();
    let tasks: Vec<TaskBody<'_>> = tasks(run, workflow).collect();
    serde_json::value::to_raw_value(&RunBody {
        experiment_id: run.experiment,
        run_id: run.id,
        display_name: &run.display_name,
        storage_state: run.storage,
        description: &run.description,
        pipeline_version_reference,
        pipeline_spec,
        runtime_config: run.runtime_config.as_deref(),
        service_account: &run.service_account,
        created_at: Timestamp::Epoch(run.created),
        scheduled_at: Timestamp::Epoch(run.scheduled),
        finished_at: Timestamp::or_epoch(workflow.finished),
        state: workflow.state,
        run_details: (!tasks.is_empty()).then_some(DetailsBody { task_details: tasks }),
        recurring_run_id: run.recurring.map(|(id, _)| id),
        state_history: changes(&workflow.history),
    })
}

fn tasks<'a>(run: &'a Run, workflow: &'a Workflow) -> impl Iterator<Item = TaskBody<'a>> {
    let stream = RandomStream::new(run.id.as_u64_pair().0);
    workflow.reported().map(move |(index, planned, known)| TaskBody {
        run_id: run.id,
        task_id: stream.fork(index as u64).uuid(),
        display_name: if index == 0 { &run.workflow_name } else { &planned.name },
        create_time: Timestamp::Epoch(run.created),
        start_time: Timestamp::of(known.start),
        end_time: known.end.map_or(Timestamp::Never, Timestamp::of),
        state: known.state,
        state_history: changes(&known.history),
        child_tasks: planned
            .next_in_graph()
            .map(|child| {
                let hash = Workflow::node_hash(run.id, child as usize);
                ChildBody { pod_name: format!("{}-{hash}", run.workflow_name) }
            })
            .collect(),
    })
}

/// The JSON of runs, so that lists need not write them again. Holds [`MAX_BYTES`] at most.
#[derive(Debug, Default)]
pub(crate) struct RunJsonCache {
    runs: rustc_hash::FxHashMap<Uuid, (u32, Arc<RawValue>)>,
    bytes: usize,
}

/// A multiple of what the largest page of large runs takes.
const MAX_BYTES: usize = 64 << 20;

impl RunJsonCache {
    /// The run as JSON.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn get(&mut self, run: &Run, workflow: &Workflow) -> Result<Arc<RawValue>, serde_json::Error> {
        if let Some((edition, json)) = self.runs.get(&run.id)
            && *edition == workflow.edition
        {
            return Ok(Arc::clone(json));
        }
        let json: Arc<RawValue> = rendered(run, workflow)?.into();
        if self.bytes > MAX_BYTES {
            *self = Self::default();
        }
        self.bytes += json.get().len();
        if let Some((_, old)) = self.runs.insert(run.id, (workflow.edition, Arc::clone(&json))) {
            self.bytes -= old.get().len();
        }
        Ok(json)
    }

    /// Drops a run, because something else than its workflow has changed.
    pub(crate) fn invalidate(&mut self, id: Uuid) {
        if let Some((_, old)) = self.runs.remove(&id) {
            self.bytes -= old.get().len();
        }
    }
}
