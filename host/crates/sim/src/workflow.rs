//! A run's workflow: what is true of its nodes in the cluster, and what the server was told of them.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::blueprint::{Blueprint, Kind, PlannedNode};
use crate::draw::Draw;
use crate::stamp::{Nanos, seconds};

/// State of a run or of one of its tasks, as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum State {
    /// Nothing known, or left out because something before it failed; the API leaves the field out.
    RuntimeStateUnspecified,
    Pending,
    Running,
    Succeeded,
    /// Found in the cache.
    Skipped,
    Failed,
    Canceling,
}

impl State {
    /// The API's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RuntimeStateUnspecified => "RUNTIME_STATE_UNSPECIFIED",
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
pub(crate) struct Change {
    pub(crate) at: u32,
    pub(crate) state: State,
}

/// What is true of a node in the cluster, not yet what the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting,
    Pending,
    Running,
    Succeeded,
    Skipped,
    Failed,
    Omitted,
}

impl Phase {
    /// Nothing will happen to the node any more.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped | Self::Failed | Self::Omitted)
    }

    /// What waits for the node may start.
    pub(crate) fn is_good(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped)
    }

    /// The phase as the API shows it.
    pub(crate) fn state(self) -> State {
        match self {
            Self::Pending => State::Pending,
            Self::Running => State::Running,
            Self::Succeeded => State::Succeeded,
            Self::Skipped => State::Skipped,
            Self::Failed => State::Failed,
            Self::Waiting | Self::Omitted => State::RuntimeStateUnspecified,
        }
    }
}

/// The way of a node through the cluster; 0 = has not happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// The controller created the node, and its pod began to wait for a slot.
    pub(crate) created: Nanos,
    /// The pod got a slot.
    pub(crate) admitted: Nanos,
    /// The pod was bound to a node of the cluster.
    pub(crate) scheduled: Nanos,
    /// The image was there.
    pub(crate) image_ready: Nanos,
    /// The image was not there when the pod came, so that it had to be pulled.
    pub(crate) pulled: bool,
    /// The main container ran.
    pub(crate) started: Nanos,
    /// The node was over.
    pub(crate) ended: Nanos,
}

/// A node of a workflow in the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) phase: Phase,
    pub(crate) times: Times,
    /// The node's pod has one of the slots.
    pub(crate) holds_slot: bool,
    pub(crate) reported: Option<Reported>,
}

impl Node {
    /// A node that nothing has happened to.
    pub(crate) fn blank() -> Self {
        Self { phase: Phase::Waiting, times: Times::default(), holds_slot: false, reported: None }
    }
}

/// A node as the last report showed it.
#[derive(Debug, Clone)]
pub(crate) struct Reported {
    pub(crate) state: State,
    pub(crate) start: Nanos,
    /// `None` while it runs.
    pub(crate) end: Option<Nanos>,
    pub(crate) history: Vec<Change>,
}

impl Reported {
    fn later(&self, by: u32) -> Self {
        let nanos = u64::from(by) * 1_000_000_000;
        let history = self.history.iter().map(|c| Change { at: c.at.saturating_add(by), ..*c }).collect();
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

    /// What happened elsewhere, `later` seconds after.
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
    pub(crate) fn phase(&self, index: usize) -> Option<Phase> {
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
    let at = |at: Nanos| if at == 0 { 0 } else { at + by };
    let t = node.times;
    let times = Times {
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

/// A run's workflow: the truth in the cluster and what the server was told of it.
#[derive(Debug)]
pub(crate) struct Workflow {
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) nodes: Nodes,
    pub(crate) draw: Draw,
    /// Whatever else must agree for a cached result to be used.
    pub(crate) cache_scope: u64,
    /// When the cluster accepted it.
    pub(crate) created: Nanos,
    /// The recurring run that it belongs to.
    pub(crate) owner: Option<Uuid>,
    /// Rises with every retry, and makes events of the time before void.
    pub(crate) attempt: u32,
    pub(crate) report_due: bool,
    /// When it was deleted in the cluster, while the server still shows it; 0 = it was not.
    pub(crate) gone_at: Nanos,
    /// Rises whenever the API would show something else.
    pub(crate) edition: u32,
    /// What the API shows.
    pub(crate) state: State,
    pub(crate) history: Vec<Change>,
    pub(crate) finished: Option<Nanos>,
}

impl Workflow {
    /// The nodes that the server knows, with their planned names, in order.
    pub(crate) fn reported(&self) -> impl Iterator<Item = (usize, &PlannedNode, Cow<'_, Reported>)> {
        let (nodes, later) = self.nodes.parts();
        self.blueprint.nodes.iter().zip(nodes).enumerate().filter_map(move |(i, (plan, node))| {
            let known = node.reported.as_ref()?;
            Some((i, plan, later.map_or(Cow::Borrowed(known), |by| Cow::Owned(known.later(by)))))
        })
    }

    /// Nothing will happen to the workflow any more, whether or not the server knows.
    pub(crate) fn is_over(&self) -> bool {
        self.nodes.phase(0).is_some_and(Phase::is_over)
    }

    /// Notes a state that the server learned at `at`, unless it is the one it knows.
    pub(crate) fn record(&mut self, at: Nanos, state: State) {
        if self.state != state {
            self.state = state;
            self.history.push(Change { at: seconds(at), state });
        }
        self.edition += 1;
    }

    /// Where the node stands below the entry, as Argo names nodes: `root.work.executor`.
    pub(crate) fn path(&self, index: usize) -> String {
        let mut names = Vec::new();
        let mut at = Some(index);
        while let Some(plan) = at.and_then(|i| self.blueprint.nodes.get(i)) {
            names.push(&*plan.name);
            at = plan.parent.map(|p| p as usize);
        }
        // The entry's own name is the workflow's.
        names.pop();
        names.reverse();
        names.join(".")
    }

    /// Name and id of the node in Argo; what Argo hashes is a name, here any stable number does.
    pub(crate) fn node_hash(run: Uuid, index: usize) -> u64 {
        Draw::new(run.as_u64_pair().0).of(index as u64).of(1).bits() >> 32
    }

    /// The pod of a node, if it has one.
    pub(crate) fn pod_name(&self, workflow_name: &str, run: Uuid, index: usize) -> Option<String> {
        let plan = self.blueprint.nodes.get(index)?;
        let template = match plan.kind {
            Kind::Dag => return None,
            Kind::Driver if plan.drives_dag => "system-dag-driver",
            Kind::Driver => "system-container-driver",
            Kind::Executor { .. } => "system-container-impl",
        };
        Some(format!("{workflow_name}-{template}-{}", Self::node_hash(run, index)))
    }
}
