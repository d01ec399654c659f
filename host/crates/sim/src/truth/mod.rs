//! What really happened in the simulated cluster, to judge measurements by.
//!
//! In: the server's store. Out: the instants of runs, nodes and triggers, exact to the nanosecond. Must not know connections, and changes
//! nothing: it is a view.

use serde::Serialize;
use uuid::Uuid;

use crate::cluster::template::NodeKind;
use crate::cluster::workflow::{Node, NodePhase, Workflow};
use crate::kfp::rows::recurring_run::Trigger;
use crate::kfp::rows::run::Run;
use crate::kfp::store::Store;

/// Everything that happened since the server started. Instants are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// The runs that were made, deleted ones included, oldest first; prefilled ones are left out.
    pub runs: Vec<RunTruth>,
    /// The triggers of recurring runs, in the order in which the controller dealt with them.
    pub triggers: Vec<TriggerTruth>,
}

/// A run as it was in the cluster. Instants are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunTruth {
    /// The run's id in the API.
    pub run_id: String,
    /// The name of its workflow, like `two-steps-x2k9d`.
    pub workflow: String,
    /// The namespace of its pods.
    pub namespace: String,
    /// The recurring run that made it.
    pub recurring_run_id: Option<String>,
    /// The instant that it stands for, for runs of a recurring run.
    pub nominal: Option<u64>,
    /// The cluster accepted the workflow.
    pub created: u64,
    /// The workflow controller began to work on it.
    pub picked_up: Option<u64>,
    /// Its last node ended.
    pub finished: Option<u64>,
    /// `PENDING`, `RUNNING`, `SUCCEEDED` or `FAILED`.
    pub state: &'static str,
    /// Its nodes that came to be, parents before children.
    pub nodes: Vec<NodeTruth>,
}

/// A node of a workflow as it was in the cluster. Instants are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeTruth {
    /// The node's name as the API shows it.
    pub name: String,
    /// The node's place below the workflow, like `root.work.executor`; empty for the workflow's entry.
    pub path: String,
    /// `dag`, `driver` or `executor`.
    pub kind: &'static str,
    /// `PENDING`, `RUNNING`, `SUCCEEDED`, `SKIPPED` (found in the cache), `FAILED` or `OMITTED`.
    pub state: &'static str,
    /// Its pod's name, unless it has none.
    pub pod: Option<String>,
    /// The node was created; its pod began to wait for a slot.
    pub queued: u64,
    /// The pod got a slot.
    pub admitted: Option<u64>,
    /// The pod was bound to a node of the cluster.
    pub scheduled: Option<u64>,
    /// Pulling the image began, if it had to be pulled.
    pub pull_start: Option<u64>,
    /// The image was there, if it had to be pulled.
    pub pull_end: Option<u64>,
    /// The main container ran.
    pub started: Option<u64>,
    /// The node was over.
    pub finished: Option<u64>,
}

/// An instant at which a recurring run was due, and the run that was made for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TriggerTruth {
    /// The id of the recurring run.
    pub recurring_run_id: String,
    /// When it was due, in nanoseconds since the Unix epoch.
    pub nominal: u64,
    /// When a run was made for it; none if the controller let it pass.
    pub actual: Option<u64>,
    /// The id of that run.
    pub run_id: Option<String>,
}

fn trigger_truth(trigger: &Trigger) -> TriggerTruth {
    TriggerTruth {
        recurring_run_id: trigger.recurring.to_string(),
        nominal: nanos(trigger.nominal),
        actual: trigger.made.map(|(at, _)| at),
        run_id: trigger.made.map(|(_, run)| run.to_string()),
    }
}

fn nanos(second: i64) -> u64 {
    u64::try_from(second).unwrap_or_default().saturating_mul(1_000_000_000)
}

fn node_truth(run: &Run, workflow: &Workflow, index: usize, node: &Node) -> Option<NodeTruth> {
    let planned = workflow.template.nodes.get(index)?;
    let t = node.times;
    Some(NodeTruth {
        name: if index == 0 { run.workflow_name.clone() } else { planned.name.to_string() },
        path: workflow.path(index),
        kind: match planned.kind {
            NodeKind::Dag => "dag",
            NodeKind::Driver => "driver",
            NodeKind::Executor { .. } => "executor",
        },
        state: if node.phase == NodePhase::Omitted { "OMITTED" } else { node.phase.state().name() },
        // Neither a cached nor an omitted node ever had a pod.
        pod: match node.phase {
            NodePhase::Skipped | NodePhase::Omitted => None,
            _ => workflow.pod_name(&run.workflow_name, run.id, index),
        },
        queued: t.created.unwrap_or_default(),
        admitted: t.admitted,
        scheduled: t.scheduled,
        pull_start: t.scheduled.filter(|_| t.pulled),
        pull_end: t.image_ready.filter(|_| t.pulled),
        started: match planned.kind {
            NodeKind::Dag => t.created,
            _ => t.started,
        },
        finished: t.ended,
    })
}

/// The truth about one run.
pub(crate) fn run_truth(run: &Run, workflow: &Workflow) -> RunTruth {
    let known = workflow.nodes.iter().enumerate().filter(|(_, node)| node.phase != NodePhase::Waiting);
    let nodes: Vec<NodeTruth> = known.filter_map(|(i, node)| node_truth(run, workflow, i, &node)).collect();
    let entry = nodes.first();
    RunTruth {
        run_id: run.id.to_string(),
        workflow: run.workflow_name.clone(),
        namespace: run.namespace.to_string(),
        recurring_run_id: run.recurring.map(|(id, _)| id.to_string()),
        nominal: run.recurring.map(|(_, at)| nanos(at)),
        created: workflow.created,
        picked_up: entry.map(|entry| entry.queued),
        finished: entry.and_then(|entry| entry.finished),
        state: entry.map_or("PENDING", |entry| entry.state),
        nodes,
    }
}

impl Store {
    /// The truth about a run, also after its deletion.
    pub(crate) fn truth_of(&self, id: Uuid) -> Option<RunTruth> {
        if let Some(run) = self.runs.get(id) {
            return Some(run_truth(run, self.cluster.get(run.workflow)?));
        }
        let (_, run, workflow) = self.deleted.iter().rev().find(|(_, run, _)| run.id == id)?;
        Some(run_truth(run, workflow))
    }

    /// The truth about all runs since the start, and about all triggers.
    pub(crate) fn truth(&self) -> Truth {
        let mut runs: Vec<RunTruth> = self.deleted.iter().map(|(_, run, workflow)| run_truth(run, workflow)).collect();
        // Prefilled rows are older than the server, so the newest rows are the server's own.
        let own = self.runs.rows(None).rev().map_while(|run| {
            let workflow = self.cluster.get(run.workflow)?;
            (workflow.created >= self.began()).then(|| run_truth(run, workflow))
        });
        runs.extend(own);
        runs.extend(self.unreported.values().filter_map(|run| Some(run_truth(run, self.cluster.get(run.workflow)?))));
        runs.retain(|run| run.created >= self.began());
        runs.sort_by(|a, b| (a.created, &a.run_id).cmp(&(b.created, &b.run_id)));
        Truth { runs, triggers: self.triggers.iter().map(trigger_truth).collect() }
    }
}
