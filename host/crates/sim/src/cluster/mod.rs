//! The cluster behind the server: pods that compete for slots, workflows made of them, and the agent that reports them.
//!
//! In: workflow templates, and up to when to replay. Out: what happened to each node and when, what the server knows of it, and
//! notifications for the controller of recurring runs. Must not know the API or its rows.
//!
//! A discrete-event simulation. Nothing moves by itself: `advance` replays what happened up to an instant, so stored
//! workflows cost nothing, and a history depends only on when workflows arrived.

pub(crate) mod template;
pub(crate) mod workflow;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use self::template::{NodeKind, TemplateNode, WorkflowTemplate};
use self::workflow::{Node, NodePhase, NodeTimes, Nodes, Reported, RuntimeState, StateChange, Workflow};
use crate::config::SimConfig;
use crate::random::RandomStream;
use crate::timestamp::{Nanos, seconds};

/// A workflow that can't be terminated or retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransitionError {
    #[error("a workflow that has ended can't be terminated")]
    Over,
    #[error("only a workflow that failed can be retried")]
    NotFailed,
    #[error("a workflow that was never reported, or is deleted, can't be retried")]
    NeverReported,
}

/// Names a workflow in the cluster: its place in the list of all that ever were.
pub(crate) type WorkflowKey = usize;

/// News for the controller of recurring runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notification {
    /// Something happened to a workflow of this recurring run.
    Changed(Uuid),
    /// The server has learned for the first time that this workflow of a recurring run exists.
    Appeared(WorkflowKey),
}

/// Where a new workflow comes from.
#[derive(Debug, Default)]
pub(crate) struct WorkflowOrigin {
    /// The recurring run that made it.
    pub(crate) owner: Option<Uuid>,
    /// The API server made it; else it learns of the workflow by the first report.
    pub(crate) is_known: bool,
    /// Cached results are shared within it.
    pub(crate) cache_scope: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum EventKind {
    PickedUp,
    Scheduled,
    ImageReady,
    Started,
    Ended,
    Killed,
    Report,
}

#[derive(Debug, Clone, Copy)]
enum FollowUp {
    /// Start a waiting node if nothing holds it back.
    StartIfReady(WorkflowKey, u32),
    /// End a DAG if all its nodes are over.
    CloseIfDone(WorkflowKey, u32),
}

/// Ordered by time, then by when it was scheduled, so that ties have one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Nanos,
    order: u64,
    key: WorkflowKey,
    node: u32,
    attempt: u32,
    kind: EventKind,
}

/// All workflows, the slots and the queue for them.
#[derive(Debug)]
pub(crate) struct Cluster {
    config: SimConfig,
    now: Nanos,
    events: BinaryHeap<Reverse<Event>>,
    scheduled: u64,
    workflows: Vec<Option<Box<Workflow>>>,
    free: usize,
    queue: VecDeque<(WorkflowKey, u32, u32)>,
    /// Effects of the present event that are still to come; a list and not recursion, because chains of tasks can be long.
    follow_ups: VecDeque<FollowUp>,
    /// When each image is on the nodes.
    images: FxHashMap<Box<str>, Nanos>,
    /// Work whose results are known.
    cache: FxHashSet<u64>,
    notifications: VecDeque<Notification>,
}

impl Cluster {
    /// An idle cluster.
    pub(crate) fn new(config: SimConfig) -> Self {
        Self {
            free: config.slots.max(1),
            config,
            now: 0,
            events: BinaryHeap::new(),
            scheduled: 0,
            workflows: Vec::new(),
            queue: VecDeque::new(),
            follow_ups: VecDeque::new(),
            images: FxHashMap::default(),
            cache: FxHashSet::default(),
            notifications: VecDeque::new(),
        }
    }

    /// The instant last advanced to.
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    /// Replays everything up to `now`, or up to the first notification; going back in time does nothing.
    pub(crate) fn advance(&mut self, now: Nanos) -> Option<Notification> {
        while let Some(Reverse(event)) = self.events.peek().copied() {
            if let Some(notification) = self.notifications.pop_front() {
                return Some(notification);
            }
            if event.at > now {
                break;
            }
            self.events.pop();
            self.now = event.at;
            self.apply(event);
            while let Some(follow_up) = self.follow_ups.pop_front() {
                match follow_up {
                    FollowUp::StartIfReady(key, node) => self.start_if_ready(key, node),
                    FollowUp::CloseIfDone(key, node) => self.close_if_done(key, node),
                }
            }
        }
        let notification = self.notifications.pop_front();
        if notification.is_none() {
            self.now = self.now.max(now);
        }
        notification
    }

    /// When the next event happens.
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.events.peek().map(|Reverse(event)| event.at)
    }

    /// Accepts a workflow at the instant last advanced to.
    pub(crate) fn create(&mut self, template: Arc<WorkflowTemplate>, origin: WorkflowOrigin) -> WorkflowKey {
        let key = self.workflows.len();
        let nodes = Nodes::blank(template.nodes.len());
        let mut workflow = Workflow {
            template,
            nodes,
            random: RandomStream::new(self.config.seed).fork(key as u64 + 1),
            cache_scope: origin.cache_scope,
            created: self.now,
            owner: origin.owner,
            attempt: 0,
            report_due: false,
            deleted_at: None,
            edition: 0,
            state: RuntimeState::Unspecified,
            history: Vec::new(),
            finished: None,
        };
        if origin.is_known {
            workflow.record(self.now, RuntimeState::Pending);
        }
        self.workflows.push(Some(Box::new(workflow)));
        self.schedule(self.config.pickup, key, 0, EventKind::PickedUp);
        key
    }

    /// Takes in a workflow that has ended in the past.
    pub(crate) fn adopt(&mut self, workflow: Workflow) -> WorkflowKey {
        self.workflows.push(Some(Box::new(workflow)));
        self.workflows.len() - 1
    }

    /// The workflow, while it exists.
    pub(crate) fn get(&self, key: WorkflowKey) -> Option<&Workflow> {
        self.workflows.get(key)?.as_deref()
    }

    fn get_mut(&mut self, key: WorkflowKey) -> Option<&mut Workflow> {
        self.workflows.get_mut(key)?.as_deref_mut()
    }

    /// Deletes a workflow; its pods go and free their slots.
    pub(crate) fn remove(&mut self, key: WorkflowKey) -> Option<Box<Workflow>> {
        let workflow = self.workflows.get_mut(key)?.take()?;
        self.free += workflow.nodes.iter().filter(|n| n.holds_slot).count();
        self.notifications.extend(workflow.owner.map(Notification::Changed));
        self.fill_slots();
        Some(workflow)
    }

    /// Takes a workflow away from under its run: its pods go, and no report will come any more.
    pub(crate) fn delete_in_cluster(&mut self, key: WorkflowKey) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        workflow.attempt += 1;
        workflow.deleted_at = Some(now);
        let mut freed = 0;
        for node in workflow.nodes.own() {
            freed += usize::from(std::mem::take(&mut node.holds_slot));
        }
        self.free += freed;
        self.fill_slots();
    }

    /// Asks a workflow to stop. The API shows it as being cancelled until the report of its end, which is a failure.
    pub(crate) fn terminate(&mut self, key: WorkflowKey) -> Result<(), TransitionError> {
        let workflow = self.get_mut(key).ok_or(TransitionError::Over)?;
        match workflow.state {
            RuntimeState::Unspecified | RuntimeState::Pending | RuntimeState::Running => {}
            _ => return Err(TransitionError::Over),
        }
        // The server writes this state without an entry in the history.
        workflow.state = RuntimeState::Canceling;
        workflow.edition += 1;
        self.schedule(self.config.pickup, key, 0, EventKind::Killed);
        Ok(())
    }

    /// Runs again what did not succeed.
    pub(crate) fn retry(&mut self, key: WorkflowKey) -> Result<(), TransitionError> {
        let now = self.now;
        let workflow = self.get_mut(key).ok_or(TransitionError::NotFailed)?;
        if workflow.deleted_at.is_some() || workflow.reported().next().is_none() {
            return Err(TransitionError::NeverReported);
        }
        if workflow.state != RuntimeState::Failed {
            return Err(TransitionError::NotFailed);
        }
        workflow.attempt += 1;
        workflow.finished = None;
        for node in workflow.nodes.own() {
            if !node.phase.is_good() {
                node.phase = NodePhase::Waiting;
                node.times = NodeTimes::default();
            }
        }
        workflow.record(now, RuntimeState::Running);
        self.schedule(self.config.pickup, key, 0, EventKind::PickedUp);
        Ok(())
    }

    fn schedule(&mut self, after: Duration, key: WorkflowKey, node: u32, kind: EventKind) {
        let Some(workflow) = self.get(key) else { return };
        let random = workflow.random.fork(u64::from(node)).fork(kind as u64).fork(u64::from(workflow.attempt));
        let spread = 1.0 + self.config.jitter.clamp(0.0, 1.0) * (2.0 * random.unit() - 1.0);
        let nanos = self.scaled(after.as_secs_f64() * spread);
        self.schedule_at(self.now.saturating_add(nanos), key, node, kind, workflow.attempt);
    }

    /// Seconds of the model as nanoseconds of the clock.
    pub(crate) fn scaled(&self, seconds: f64) -> Nanos {
        let speed = if self.config.speed > 0.0 { self.config.speed } else { 1.0 };
        // The cast saturates; less than a nanosecond lost is no loss.
        (seconds / speed * 1e9) as Nanos
    }

    fn schedule_at(&mut self, at: Nanos, key: WorkflowKey, node: u32, kind: EventKind, attempt: u32) {
        self.scheduled += 1;
        self.events.push(Reverse(Event { at, order: self.scheduled, key, node, attempt, kind }));
    }

    fn node(&mut self, key: WorkflowKey, node: u32) -> Option<&mut Node> {
        self.get_mut(key)?.nodes.own().get_mut(node as usize)
    }

    fn apply(&mut self, event: Event) {
        let Event { key, node, .. } = event;
        let Some(workflow) = self.get(key) else { return };
        if event.kind == EventKind::Report && workflow.deleted_at.is_none() {
            return self.report(key);
        }
        if event.attempt != workflow.attempt {
            return;
        }
        let template = Arc::clone(&workflow.template);
        let Some(planned) = template.nodes.get(node as usize) else { return };
        match event.kind {
            EventKind::PickedUp => self.start(key, node),
            EventKind::Scheduled => {
                let (ready, pulled) = self.image(key, node, planned);
                let now = self.now;
                if let Some(node) = self.node(key, node) {
                    (node.times.scheduled, node.times.pulled) = (Some(now), pulled);
                }
                self.schedule_at(ready, key, node, EventKind::ImageReady, event.attempt);
            }
            EventKind::ImageReady => {
                let now = self.now;
                if let Some(node) = self.node(key, node) {
                    node.times.image_ready = Some(now);
                }
                self.schedule(self.config.pod_start, key, node, EventKind::Started);
            }
            EventKind::Started => {
                let now = self.now;
                if let Some(node) = self.node(key, node) {
                    node.phase = NodePhase::Running;
                    node.times.started = Some(now);
                }
                match planned.kind {
                    NodeKind::Executor { seconds, .. } => {
                        let slow = self.happens(key, node, "slow", self.config.slow_rate);
                        let factor = if slow { self.config.slow_factor } else { 1.0 };
                        let end = self.now.saturating_add(self.scaled(seconds * factor));
                        self.schedule_at(end, key, node, EventKind::Ended, event.attempt);
                    }
                    _ => self.schedule(self.config.driver, key, node, EventKind::Ended),
                }
                self.changed(key);
            }
            EventKind::Ended => {
                let failed = self.fails(key, node, planned);
                if let (false, NodeKind::Executor { result: Some(result), .. }) = (failed, &planned.kind) {
                    let scope = self.get(key).map_or(0, |w| w.cache_scope);
                    self.cache.insert(result ^ scope);
                }
                self.end(key, node, if failed { NodePhase::Failed } else { NodePhase::Succeeded });
                self.fill_slots();
            }
            EventKind::Killed => self.kill(key),
            EventKind::Report => {}
        }
    }

    /// When the image of the pod's container is there, and whether it has to be pulled for it.
    fn image(&mut self, key: WorkflowKey, node: u32, planned: &TemplateNode) -> (Nanos, bool) {
        let pulled = self.now.saturating_add(self.scaled(self.config.image_pull.as_secs_f64()));
        match self.images.get(planned.image()) {
            None => {
                self.images.insert(planned.image().into(), pulled);
                (pulled, true)
            }
            Some(ready) if *ready > self.now => (*ready, true),
            Some(_) if self.happens(key, node, "pull", self.config.cold_pulls) => (pulled, true),
            Some(_) => (self.now.saturating_add(self.scaled(self.config.image_pull_warm.as_secs_f64())), false),
        }
    }

    /// Whether something that happens to a `share` of all nodes happens to this one.
    fn happens(&self, key: WorkflowKey, node: u32, what: &str, share: f64) -> bool {
        share > 0.0
            && self.get(key).is_some_and(|w| {
                w.random.fork(u64::from(node)).fork_named(what).fork(u64::from(w.attempt)).unit() < share
            })
    }

    fn fails(&self, key: WorkflowKey, node: u32, planned: &TemplateNode) -> bool {
        let NodeKind::Executor { fails, .. } = planned.kind else { return false };
        fails || self.happens(key, node, "failure", self.config.failure_rate)
    }

    fn is_cached(&self, key: WorkflowKey, node: u32, planned: &TemplateNode) -> bool {
        let NodeKind::Executor { result: Some(result), .. } = planned.kind else { return false };
        let scope = self.get(key).map_or(0, |w| w.cache_scope);
        self.cache.contains(&(result ^ scope)) || self.happens(key, node, "cache", self.config.cache_rate)
    }

    /// Starts a node whose predecessors are done: a pod asks for a slot, a DAG starts its own first nodes.
    fn start(&mut self, key: WorkflowKey, id: u32) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        let template = Arc::clone(&workflow.template);
        let attempt = workflow.attempt;
        let (Some(planned), Some(node)) = (template.nodes.get(id as usize), self.node(key, id)) else { return };
        node.times.created = Some(now);
        if self.is_cached(key, id, planned) {
            return self.end(key, id, NodePhase::Skipped);
        }
        let Some(node) = self.node(key, id) else { return };
        if planned.kind != NodeKind::Dag {
            node.phase = NodePhase::Pending;
            self.queue.push_back((key, id, attempt));
            self.changed(key);
            return self.fill_slots();
        }
        node.phase = NodePhase::Running;
        self.changed(key);
        self.follow_ups.extend(planned.children.iter().map(|child| FollowUp::StartIfReady(key, *child)));
        self.follow_ups.push_back(FollowUp::CloseIfDone(key, id));
    }

    /// Starts a waiting node, or leaves it out, once everything before it is over.
    fn start_if_ready(&mut self, key: WorkflowKey, id: u32) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        let template = Arc::clone(&workflow.template);
        let Some(planned) = template.nodes.get(id as usize) else { return };
        let phase = |n: &u32| workflow.nodes.phase(*n as usize).unwrap_or(NodePhase::Omitted);
        if phase(&id) != NodePhase::Waiting || !planned.after.iter().all(|n| phase(n).is_over()) {
            return;
        }
        if planned.always || planned.after.iter().all(|n| phase(n).is_good()) {
            return self.start(key, id);
        }
        if let Some(node) = workflow.nodes.own().get_mut(id as usize) {
            node.times.created = Some(now);
        }
        self.end(key, id, NodePhase::Omitted);
    }

    fn end(&mut self, key: WorkflowKey, id: u32, phase: NodePhase) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        let template = Arc::clone(&workflow.template);
        let (Some(planned), Some(node)) = (template.nodes.get(id as usize), self.node(key, id)) else { return };
        node.phase = phase;
        node.times.ended = Some(now);
        let freed = std::mem::take(&mut node.holds_slot);
        self.free += usize::from(freed);
        self.changed(key);
        self.follow_ups.extend(planned.before.iter().map(|next| FollowUp::StartIfReady(key, *next)));
        self.follow_ups.extend(planned.parent.map(|parent| FollowUp::CloseIfDone(key, parent)));
    }

    /// Ends a DAG whose nodes are all over.
    fn close_if_done(&mut self, key: WorkflowKey, id: u32) {
        let Some(workflow) = self.get(key) else { return };
        let Some(planned) = workflow.template.nodes.get(id as usize) else { return };
        let running = workflow.nodes.phase(id as usize) == Some(NodePhase::Running);
        let mut children = planned.children.iter().filter_map(|c| workflow.nodes.phase(*c as usize));
        if !running || !children.clone().all(NodePhase::is_over) {
            return;
        }
        let failed = children.any(|phase| phase == NodePhase::Failed);
        self.end(key, id, if failed { NodePhase::Failed } else { NodePhase::Succeeded });
    }

    fn kill(&mut self, key: WorkflowKey) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        let mut freed = 0;
        for (index, node) in workflow.nodes.own().iter_mut().enumerate() {
            // The entry exists as soon as the workflow was picked up, even if that happens now.
            if matches!(node.phase, NodePhase::Pending | NodePhase::Running)
                || (index == 0 && node.phase == NodePhase::Waiting)
            {
                node.times.created.get_or_insert(now);
                node.phase = NodePhase::Failed;
                node.times.ended = Some(now);
            }
            freed += usize::from(std::mem::take(&mut node.holds_slot));
        }
        workflow.attempt += 1;
        self.free += freed;
        self.changed(key);
        self.fill_slots();
    }

    fn fill_slots(&mut self) {
        while self.free > 0 {
            let Some((key, node, attempt)) = self.queue.pop_front() else { return };
            let current = self.get(key).is_some_and(|w| w.attempt == attempt);
            let now = self.now;
            let Some(pod) = self.node(key, node).filter(|_| current) else { continue };
            pod.holds_slot = true;
            pod.times.admitted = Some(now);
            self.free -= 1;
            self.schedule(self.config.schedule, key, node, EventKind::Scheduled);
        }
    }

    /// Has the agent report the workflow, unless a report is already on its way.
    fn changed(&mut self, key: WorkflowKey) {
        let Some(workflow) = self.get_mut(key) else { return };
        let owner = workflow.owner;
        if !std::mem::replace(&mut workflow.report_due, true) {
            self.schedule(self.config.report_lag, key, 0, EventKind::Report);
        }
        self.notifications.extend(owner.map(Notification::Changed));
    }

    /// The server learns what is true now.
    fn report(&mut self, key: WorkflowKey) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        workflow.report_due = false;
        workflow.edition += 1;
        let is_new = workflow.history.is_empty();
        for node in workflow.nodes.own() {
            if node.phase == NodePhase::Waiting {
                continue;
            }
            let state = node.phase.state();
            let end = node.times.ended.filter(|_| node.phase.is_over());
            let start = node.times.created.unwrap_or(now);
            let known = node.reported.get_or_insert(Reported { state, start, end, history: Vec::new() });
            known.start = start;
            known.end = end;
            if known.history.last().is_none_or(|last| last.state != state) {
                known.history.push(StateChange { at: seconds(now), state });
            }
            known.state = state;
        }
        let entry = workflow.nodes.own().first().map(|n| (n.phase, n.times.ended));
        let Some(entry) = entry else { return };
        match entry {
            (NodePhase::Waiting, _) => {}
            (phase, end) if phase.is_over() => {
                workflow.finished = end;
                workflow.record(now, phase.state());
            }
            _ if workflow.state == RuntimeState::Canceling => {}
            (phase, _) => workflow.record(now, phase.state()),
        }
        if is_new {
            self.notifications.push_back(Notification::Appeared(key));
        }
    }
}

#[cfg(test)]
mod tests;
