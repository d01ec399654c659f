//! A run's workflow: its nodes as they are in the cluster, and as the last report showed them.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::cluster::template::{NodeKind, TemplateNode, WorkflowTemplate};
use crate::random::RandomStream;
use crate::timestamp::{Nanos, seconds};

/// State of a run or of one of its tasks, as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RuntimeState {
    /// Nothing known, or left out because something before it failed; the API leaves the field out.
    #[serde(rename = "RUNTIME_STATE_UNSPECIFIED")]
    Unspecified,
    Pending,
    Running,
    Succeeded,
    /// Found in the cache.
    Skipped,
    Failed,
    Canceling,
}

impl RuntimeState {
    /// The API's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "RUNTIME_STATE_UNSPECIFIED",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Skipped => "SKIPPED",
            Self::Failed => "FAILED",
            Self::Canceling => "CANCELING",
        }
    }
}

/// A state with the second at which the server learned of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateChange {
    pub(crate) at: u32,
    pub(crate) state: RuntimeState,
}

/// The phase of a node in the cluster; the server learns of it by a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodePhase {
    Waiting,
    Pending,
    Running,
    Succeeded,
    Skipped,
    Failed,
    Omitted,
}

impl NodePhase {
    /// Nothing will happen to the node any more.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped | Self::Failed | Self::Omitted)
    }

    /// Nodes that wait for this one may start.
    pub(crate) fn is_good(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped)
    }

    /// The phase as the API shows it.
    pub(crate) fn state(self) -> RuntimeState {
        match self {
            Self::Pending => RuntimeState::Pending,
            Self::Running => RuntimeState::Running,
            Self::Succeeded => RuntimeState::Succeeded,
            Self::Skipped => RuntimeState::Skipped,
            Self::Failed => RuntimeState::Failed,
            Self::Waiting | Self::Omitted => RuntimeState::Unspecified,
        }
    }
}

/// When what happened to a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NodeTimes {
    /// The controller created the node, and its pod began to wait for a slot.
    pub(crate) created: Option<Nanos>,
    /// The pod got a slot.
    pub(crate) admitted: Option<Nanos>,
    /// The pod was bound to a node of the cluster.
    pub(crate) scheduled: Option<Nanos>,
    /// The image was there.
    pub(crate) image_ready: Option<Nanos>,
    /// The image was not there when the pod came, so that it had to be pulled.
    pub(crate) pulled: bool,
    /// The main container ran.
    pub(crate) started: Option<Nanos>,
    /// The node was over.
    pub(crate) ended: Option<Nanos>,
}

/// A node of a workflow in the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) phase: NodePhase,
    pub(crate) times: NodeTimes,
    /// The node's pod has one of the slots.
    pub(crate) holds_slot: bool,
    pub(crate) reported: Option<Reported>,
}

impl Node {
    /// A node that nothing has happened to.
    pub(crate) fn blank() -> Self {
        Self { phase: NodePhase::Waiting, times: NodeTimes::default(), holds_slot: false, reported: None }
    }
}

/// A node as the last report showed it.
#[derive(Debug, Clone)]
pub(crate) struct Reported {
    pub(crate) state: RuntimeState,
    pub(crate) start: Nanos,
    /// `None` while it runs.
    pub(crate) end: Option<Nanos>,
    pub(crate) history: Vec<StateChange>,
}

impl Reported {
    fn later(&self, by: u32) -> Self {
        let nanos = u64::from(by) * 1_000_000_000;
        let history = self.history.iter().map(|c| StateChange { at: c.at.saturating_add(by), ..*c }).collect();
        Self { state: self.state, start: self.start + nanos, end: self.end.map(|end| end + nanos), history }
    }
}

/// The nodes of a workflow: its own, or a past that it shares with others, so many seconds later.
#[derive(Debug)]
pub(crate) struct Nodes {
    own: Vec<Node>,
    past: Option<(Arc<Vec<Node>>, u32)>,
}

impl Nodes {
    /// So many nodes that nothing has happened to.
    pub(crate) fn blank(count: usize) -> Self {
        Self { own: vec![Node::blank(); count], past: None }
    }

    /// The past of another workflow, `later` seconds after.
    pub(crate) fn past(nodes: Arc<Vec<Node>>, later: u32) -> Self {
        Self { own: Vec::new(), past: Some((nodes, later)) }
    }

    fn parts(&self) -> (&[Node], Option<u32>) {
        match &self.past {
            None => (&self.own, None),
            Some((nodes, later)) => (nodes, Some(*later)),
        }
    }

    /// To change them; a shared past is copied first.
    pub(crate) fn own(&mut self) -> &mut Vec<Node> {
        if let Some((nodes, later)) = self.past.take() {
            self.own = nodes.iter().map(|node| shifted(node, later)).collect();
        }
        &mut self.own
    }

    /// The phase of a node.
    pub(crate) fn phase(&self, index: usize) -> Option<NodePhase> {
        self.parts().0.get(index).map(|node| node.phase)
    }

    /// All nodes; copies if they are shared.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Cow<'_, Node>> {
        let (nodes, later) = self.parts();
        nodes.iter().map(move |node| later.map_or(Cow::Borrowed(node), |later| Cow::Owned(shifted(node, later))))
    }
}

fn shifted(node: &Node, later: u32) -> Node {
    let by = u64::from(later) * 1_000_000_000;
    let at = |at: Option<Nanos>| at.map(|at| at + by);
    let t = node.times;
    let times = NodeTimes {
        created: at(t.created),
        admitted: at(t.admitted),
        scheduled: at(t.scheduled),
        image_ready: at(t.image_ready),
        pulled: t.pulled,
        started: at(t.started),
        ended: at(t.ended),
    };
    Node { times, reported: node.reported.as_ref().map(|r| r.later(later)), ..*node }
}

/// A run's workflow, in the cluster and as last reported.
#[derive(Debug)]
pub(crate) struct Workflow {
    pub(crate) template: Arc<WorkflowTemplate>,
    pub(crate) nodes: Nodes,
    pub(crate) random: RandomStream,
    /// Cached results are used only within the same scope.
    pub(crate) cache_scope: u64,
    /// When the cluster accepted it.
    pub(crate) created: Nanos,
    /// The recurring run that it belongs to.
    pub(crate) owner: Option<Uuid>,
    /// Rises with every retry; events of earlier attempts are void.
    pub(crate) attempt: u32,
    pub(crate) report_due: bool,
    /// When it was deleted in the cluster, while the server still shows it.
    pub(crate) deleted_at: Option<Nanos>,
    /// Rises whenever the API would show something else.
    pub(crate) edition: u32,
    /// The state that the API shows.
    pub(crate) state: RuntimeState,
    pub(crate) history: Vec<StateChange>,
    pub(crate) finished: Option<Nanos>,
}

impl Workflow {
    /// The nodes that the server knows, with their planned names, in order.
    pub(crate) fn reported(&self) -> impl Iterator<Item = (usize, &TemplateNode, Cow<'_, Reported>)> {
        let (nodes, later) = self.nodes.parts();
        self.template.nodes.iter().zip(nodes).enumerate().filter_map(move |(i, (planned, node))| {
            let known = node.reported.as_ref()?;
            Some((i, planned, later.map_or(Cow::Borrowed(known), |by| Cow::Owned(known.later(by)))))
        })
    }

    /// Nothing will happen to the workflow any more, whether or not the server knows.
    pub(crate) fn is_over(&self) -> bool {
        self.nodes.phase(0).is_some_and(NodePhase::is_over)
    }

    /// Records a state that the server learned at `at`, unless it knows it already.
    pub(crate) fn record(&mut self, at: Nanos, state: RuntimeState) {
        if self.state != state {
            self.state = state;
            self.history.push(StateChange { at: seconds(at), state });
        }
        self.edition += 1;
    }

    /// Where the node stands below the entry, as Argo names nodes: `root.work.executor`.
    pub(crate) fn path(&self, index: usize) -> String {
        let mut names = Vec::new();
        let mut at = Some(index);
        while let Some(planned) = at.and_then(|i| self.template.nodes.get(i)) {
            names.push(&*planned.name);
            at = planned.parent.map(|p| p as usize);
        }
        // The entry's own name is the workflow's.
        names.pop();
        names.reverse();
        names.join(".")
    }

    /// Name and id of the node in Argo; what Argo hashes is a name, here any stable number does.
    pub(crate) fn node_hash(run: Uuid, index: usize) -> u64 {
        RandomStream::new(run.as_u64_pair().0).fork(index as u64).fork(1).bits() >> 32
    }

    /// The pod of a node, if it has one.
    pub(crate) fn pod_name(&self, workflow_name: &str, run: Uuid, index: usize) -> Option<String> {
        let planned = self.template.nodes.get(index)?;
        let template = match planned.kind {
            NodeKind::Dag => return None,
            NodeKind::Driver if planned.drives_dag => "system-dag-driver",
            NodeKind::Driver => "system-container-driver",
            NodeKind::Executor { .. } => "system-container-impl",
        };
        Some(format!("{workflow_name}-{template}-{}", Self::node_hash(run, index)))
    }
}
