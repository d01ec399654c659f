//! Rows of runs.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cluster::WorkflowKey;
use crate::cluster::workflow::Workflow;
use crate::kfp::list::{ColumnValue, ListSchema};
use crate::kfp::rows::experiment::StorageState;
use crate::kfp::spec::Spec;
use crate::kfp::table::{Row, namespace_key};
use crate::timestamp::Nanos;

/// A run as the server stores it; its state is the cluster's.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    pub(crate) experiment: Uuid,
    /// The namespace of its pods.
    pub(crate) namespace: Arc<str>,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) service_account: Arc<str>,
    pub(crate) source: Source,
    pub(crate) runtime_config: Option<Box<RuntimeConfig>>,
    pub(crate) storage: StorageState,
    /// Name of the workflow in the cluster.
    pub(crate) workflow_name: String,
    pub(crate) workflow: WorkflowKey,
    /// The recurring run that made it, and the second at which it was due.
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
    /// The version that is the latest when a recurring run is due.
    Latest {
        pipeline: Uuid,
    },
    Inline(Arc<Spec>),
}

impl Source {
    /// The source as the API shows it: by reference or in full.
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

pub(crate) const RUNS: ListSchema<Run> = ListSchema {
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
            "run_id" | "id" => ColumnValue::Id(run.id),
            "display_name" | "name" => ColumnValue::text(&run.display_name),
            "created_at" => ColumnValue::Number(run.created.into()),
            "scheduled_at" => ColumnValue::Number(run.scheduled.into()),
            "description" => ColumnValue::text(&run.description),
            "storage_state" => ColumnValue::text(run.storage.name()),
            "experiment_id" => ColumnValue::Id(run.experiment),
            "namespace" => ColumnValue::text(&run.namespace),
            "recurring_run_id" => run.recurring.map_or(ColumnValue::text(""), |(id, _)| ColumnValue::Id(id)),
            _ => return None,
        })
    },
};

/// Parameters of a run, and where its artifacts go.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuntimeConfig {
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) parameters: Map<String, Value>,
    #[serde(default, alias = "pipelineRoot", skip_serializing_if = "String::is_empty")]
    pipeline_root: String,
}

impl RuntimeConfig {
    /// What is stored: nothing for an empty configuration.
    pub(crate) fn unless_empty(self) -> Option<Box<Self>> {
        (!self.parameters.is_empty() || !self.pipeline_root.is_empty()).then(|| Box::new(self))
    }
}

/// Five letters or digits, as Kubernetes appends them to generated names.
pub(crate) fn name_suffix(id: Uuid) -> String {
    const ALPHABET: &[u8; 32] = b"bcdfghjklmnpqrstvwxz2456789013ae";
    let bits = id.as_u64_pair().1;
    (0..5).filter_map(|i| ALPHABET.get((bits >> (5 * i)) as usize % 32)).map(|c| char::from(*c)).collect()
}

/// Runs that were deleted, as they were then.
#[derive(Debug, Default)]
pub(crate) struct DeletedRuns(VecDeque<(Nanos, Run, Box<Workflow>)>);

/// Deleted runs are remembered up to so many.
const REMEMBERED_RUNS: usize = 100_000;

impl DeletedRuns {
    /// Remembers a run, and forgets the oldest if there are too many.
    pub(crate) fn push(&mut self, at: Nanos, run: Run, workflow: Box<Workflow>) {
        if self.0.len() >= REMEMBERED_RUNS {
            self.0.pop_front();
        }
        self.0.push_back((at, run, workflow));
    }

    /// All of them, oldest first, with the instant of the deletion.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (Nanos, &Run, &Workflow)> {
        self.0.iter().map(|(at, run, workflow)| (*at, run, &**workflow))
    }
}
