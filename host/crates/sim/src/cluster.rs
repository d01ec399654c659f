//! The cluster behind the server: pods that compete for slots, workflows made of them, and the agent that reports them.
//!
//! A discrete-event simulation. Nothing moves by itself: `advance` replays what happened up to an instant, so stored
//! workflows cost nothing, and a history depends only on when workflows arrived.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use crate::blueprint::{Blueprint, Kind, PlannedNode};
use crate::config::SimConfig;
use crate::draw::Draw;
use crate::stamp::{Nanos, seconds};
use crate::workflow::{Change, Node, Nodes, Phase, Reported, State, Times, Workflow};

/// Why a workflow can't be terminated or retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It has ended (terminate).
    Over,
    /// It is not among those that failed (retry).
    NotFailed,
    /// No report has come yet, or there is no workflow any more (retry).
    NeverReported,
}

/// Names a workflow in the cluster: its place in the list of all that ever were.
pub(crate) type Key = usize;

/// What the keeper of recurring runs must know at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Something happened to a workflow of this recurring run.
    Changed(Uuid),
    /// The server has learned for the first time that this workflow of a recurring run exists.
    Appeared(Key),
}

/// What comes with a new workflow.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// The recurring run that made it.
    pub(crate) owner: Option<Uuid>,
    /// The API server made it; else it learns of the workflow by the first report.
    pub(crate) is_known: bool,
    /// Cached results are shared within it.
    pub(crate) cache_scope: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    PickedUp,
    Scheduled,
    ImageReady,
    Started,
    Ended,
    Killed,
    Report,
}

#[derive(Debug, Clone, Copy)]
enum Due {
    /// See whether a waiting node can start.
    Consider(Key, u32),
    /// See whether a DAG is over.
    Close(Key, u32),
}

/// Ordered by time, then by when it was planned, so that ties have one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Nanos,
    order: u64,
    key: Key,
    node: u32,
    attempt: u32,
    step: Step,
}

/// All workflows, the slots and the queue for them.
#[derive(Debug)]
pub(crate) struct Cluster {
    config: SimConfig,
    now: Nanos,
    events: BinaryHeap<Reverse<Event>>,
    planned: u64,
    workflows: Vec<Option<Box<Workflow>>>,
    free: usize,
    queue: VecDeque<(Key, u32, u32)>,
    /// What the present event still leads to; a list and not recursion, because chains of tasks can be long.
    due: VecDeque<Due>,
    /// When each image is on the nodes.
    images: FxHashMap<Box<str>, Nanos>,
    /// Work whose results are known.
    cache: FxHashSet<u64>,
    news: VecDeque<News>,
}

impl Cluster {
    /// An idle cluster.
    pub(crate) fn new(config: SimConfig) -> Self {
        Self {
            free: config.slots.max(1),
            config,
            now: 0,
            events: BinaryHeap::new(),
            planned: 0,
            workflows: Vec::new(),
            queue: VecDeque::new(),
            due: VecDeque::new(),
            images: FxHashMap::default(),
            cache: FxHashSet::default(),
            news: VecDeque::new(),
        }
    }

    /// The instant last advanced to.
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    /// Replays everything up to `now`, or up to the first news; going back in time does nothing.
    pub(crate) fn advance(&mut self, now: Nanos) -> Option<News> {
        while let Some(Reverse(event)) = self.events.peek().copied() {
            if let Some(news) = self.news.pop_front() {
                return Some(news);
            }
            if event.at > now {
                break;
            }
            self.events.pop();
            self.now = event.at;
            self.happen(event);
            while let Some(due) = self.due.pop_front() {
                match due {
                    Due::Consider(key, node) => self.consider(key, node),
                    Due::Close(key, node) => self.close(key, node),
                }
            }
        }
        let news = self.news.pop_front();
        if news.is_none() {
            self.now = self.now.max(now);
        }
        news
    }

    /// When the next thing happens.
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.events.peek().map(|Reverse(event)| event.at)
    }

    /// Accepts a workflow at the instant last advanced to.
    pub(crate) fn create(&mut self, blueprint: Arc<Blueprint>, origin: Origin) -> Key {
        let key = self.workflows.len();
        let nodes = Nodes::blank(blueprint.nodes.len());
        let mut workflow = Workflow {
            blueprint,
            nodes,
            draw: Draw::new(self.config.seed).of(key as u64 + 1),
            cache_scope: origin.cache_scope,
            created: self.now,
            owner: origin.owner,
            attempt: 0,
            report_due: false,
            gone_at: 0,
            edition: 0,
            state: State::RuntimeStateUnspecified,
            history: Vec::new(),
            finished: None,
        };
        if origin.is_known {
            workflow.record(self.now, State::Pending);
        }
        self.workflows.push(Some(Box::new(workflow)));
        self.plan(self.config.pickup, key, 0, Step::PickedUp);
        key
    }

    /// Takes in a workflow whose whole life lies in the past.
    pub(crate) fn adopt(&mut self, workflow: Workflow) -> Key {
        self.workflows.push(Some(Box::new(workflow)));
        self.workflows.len() - 1
    }

    /// The workflow, while it exists.
    pub(crate) fn get(&self, key: Key) -> Option<&Workflow> {
        self.workflows.get(key)?.as_deref()
    }

    fn get_mut(&mut self, key: Key) -> Option<&mut Workflow> {
        self.workflows.get_mut(key)?.as_deref_mut()
    }

    /// Deletes a workflow; its pods go and free their slots.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Box<Workflow>> {
        let workflow = self.workflows.get_mut(key)?.take()?;
        self.free += workflow.nodes.iter().filter(|n| n.holds_slot).count();
        self.news.extend(workflow.owner.map(News::Changed));
        self.fill_slots();
        Some(workflow)
    }

    /// Takes a workflow away from under its run: its pods go, and no report will come any more.
    pub(crate) fn halt(&mut self, key: Key) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        workflow.attempt += 1;
        workflow.gone_at = now;
        let mut freed = 0;
        for node in workflow.nodes.own() {
            freed += usize::from(std::mem::take(&mut node.holds_slot));
        }
        self.free += freed;
        self.fill_slots();
    }

    /// Asks a workflow to stop. The API shows it as being cancelled until the report of its end, which is a failure.
    pub(crate) fn terminate(&mut self, key: Key) -> Result<(), Refused> {
        let workflow = self.get_mut(key).ok_or(Refused::Over)?;
        match workflow.state {
            State::RuntimeStateUnspecified | State::Pending | State::Running => {}
            _ => return Err(Refused::Over),
        }
        // The server writes this state without an entry in the history.
        workflow.state = State::Canceling;
        workflow.edition += 1;
        self.plan(self.config.pickup, key, 0, Step::Killed);
        Ok(())
    }

    /// Runs again what did not succeed.
    pub(crate) fn retry(&mut self, key: Key) -> Result<(), Refused> {
        let now = self.now;
        let workflow = self.get_mut(key).ok_or(Refused::NotFailed)?;
        if workflow.gone_at != 0 || workflow.reported().next().is_none() {
            return Err(Refused::NeverReported);
        }
        if workflow.state != State::Failed {
            return Err(Refused::NotFailed);
        }
        workflow.attempt += 1;
        workflow.finished = None;
        for node in workflow.nodes.own() {
            if !node.phase.is_good() {
                node.phase = Phase::Waiting;
                node.times = Times::default();
            }
        }
        workflow.record(now, State::Running);
        self.plan(self.config.pickup, key, 0, Step::PickedUp);
        Ok(())
    }

    fn plan(&mut self, after: Duration, key: Key, node: u32, step: Step) {
        let Some(workflow) = self.get(key) else { return };
        let draw = workflow.draw.of(u64::from(node)).of(step as u64).of(u64::from(workflow.attempt));
        let spread = 1.0 + self.config.jitter.clamp(0.0, 1.0) * (2.0 * draw.unit() - 1.0);
        let nanos = self.scaled(after.as_secs_f64() * spread);
        self.plan_at(self.now.saturating_add(nanos), key, node, step, workflow.attempt);
    }

    /// Seconds of the model as nanoseconds of the clock.
    pub(crate) fn scaled(&self, seconds: f64) -> Nanos {
        let speed = if self.config.speed > 0.0 { self.config.speed } else { 1.0 };
        // The cast saturates; less than a nanosecond lost is no loss.
        (seconds / speed * 1e9) as Nanos
    }

    fn plan_at(&mut self, at: Nanos, key: Key, node: u32, step: Step, attempt: u32) {
        self.planned += 1;
        self.events.push(Reverse(Event { at, order: self.planned, key, node, attempt, step }));
    }

    fn node(&mut self, key: Key, node: u32) -> Option<&mut Node> {
        self.get_mut(key)?.nodes.own().get_mut(node as usize)
    }

    fn happen(&mut self, event: Event) {
        let Event { key, node, .. } = event;
        let Some(workflow) = self.get(key) else { return };
        if event.step == Step::Report && workflow.gone_at == 0 {
            return self.report(key);
        }
        if event.attempt != workflow.attempt {
            return;
        }
        let blueprint = Arc::clone(&workflow.blueprint);
        let Some(plan) = blueprint.nodes.get(node as usize) else { return };
        match event.step {
            Step::PickedUp => self.start(key, node),
            Step::Scheduled => {
                let (ready, pulled) = self.image(key, node, plan);
                let now = self.now;
                if let Some(node) = self.node(key, node) {
                    (node.times.scheduled, node.times.pulled) = (now, pulled);
                }
                self.plan_at(ready, key, node, Step::ImageReady, event.attempt);
            }
            Step::ImageReady => {
                let now = self.now;
                if let Some(node) = self.node(key, node) {
                    node.times.image_ready = now;
                }
                self.plan(self.config.pod_start, key, node, Step::Started);
            }
            Step::Started => {
                let now = self.now;
                if let Some(node) = self.node(key, node) {
                    node.phase = Phase::Running;
                    node.times.started = now;
                }
                match plan.kind {
                    Kind::Executor { seconds, .. } => {
                        let slow = self.drawn(key, node, "slow", self.config.slow_rate);
                        let factor = if slow { self.config.slow_factor } else { 1.0 };
                        let end = self.now.saturating_add(self.scaled(seconds * factor));
                        self.plan_at(end, key, node, Step::Ended, event.attempt);
                    }
                    _ => self.plan(self.config.driver, key, node, Step::Ended),
                }
                self.changed(key);
            }
            Step::Ended => {
                let failed = self.fails(key, node, plan);
                if let (false, Kind::Executor { result: Some(result), .. }) = (failed, &plan.kind) {
                    let scope = self.get(key).map_or(0, |w| w.cache_scope);
                    self.cache.insert(result ^ scope);
                }
                self.end(key, node, if failed { Phase::Failed } else { Phase::Succeeded });
                self.fill_slots();
            }
            Step::Killed => self.kill(key),
            Step::Report => {}
        }
    }

    /// When the image of the pod's container is there, and whether it has to be pulled for it.
    fn image(&mut self, key: Key, node: u32, plan: &PlannedNode) -> (Nanos, bool) {
        let pulled = self.now.saturating_add(self.scaled(self.config.image_pull.as_secs_f64()));
        match self.images.get(plan.image()) {
            None => {
                self.images.insert(plan.image().into(), pulled);
                (pulled, true)
            }
            Some(ready) if *ready > self.now => (*ready, true),
            Some(_) if self.drawn(key, node, "pull", self.config.cold_pulls) => (pulled, true),
            Some(_) => (self.now.saturating_add(self.scaled(self.config.image_pull_warm.as_secs_f64())), false),
        }
    }

    /// Whether the node is one of the `share` of nodes that something happens to.
    fn drawn(&self, key: Key, node: u32, what: &str, share: f64) -> bool {
        share > 0.0
            && self
                .get(key)
                .is_some_and(|w| w.draw.of(u64::from(node)).named(what).of(u64::from(w.attempt)).unit() < share)
    }

    fn fails(&self, key: Key, node: u32, plan: &PlannedNode) -> bool {
        let Kind::Executor { fails, .. } = plan.kind else { return false };
        fails || self.drawn(key, node, "failure", self.config.failure_rate)
    }

    fn is_cached(&self, key: Key, node: u32, plan: &PlannedNode) -> bool {
        let Kind::Executor { result: Some(result), .. } = plan.kind else { return false };
        let scope = self.get(key).map_or(0, |w| w.cache_scope);
        self.cache.contains(&(result ^ scope)) || self.drawn(key, node, "cache", self.config.cache_rate)
    }

    /// Starts a node whose predecessors are done: a pod asks for a slot, a DAG starts its own first nodes.
    fn start(&mut self, key: Key, id: u32) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        let blueprint = Arc::clone(&workflow.blueprint);
        let attempt = workflow.attempt;
        let (Some(plan), Some(node)) = (blueprint.nodes.get(id as usize), self.node(key, id)) else { return };
        node.times.created = now;
        if self.is_cached(key, id, plan) {
            return self.end(key, id, Phase::Skipped);
        }
        let Some(node) = self.node(key, id) else { return };
        if plan.kind != Kind::Dag {
            node.phase = Phase::Pending;
            self.queue.push_back((key, id, attempt));
            self.changed(key);
            return self.fill_slots();
        }
        node.phase = Phase::Running;
        self.changed(key);
        self.due.extend(plan.children.iter().map(|child| Due::Consider(key, *child)));
        self.due.push_back(Due::Close(key, id));
    }

    /// Starts a waiting node, or leaves it out, once everything before it is over.
    fn consider(&mut self, key: Key, id: u32) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        let blueprint = Arc::clone(&workflow.blueprint);
        let Some(plan) = blueprint.nodes.get(id as usize) else { return };
        let phase = |n: &u32| workflow.nodes.phase(*n as usize).unwrap_or(Phase::Omitted);
        if phase(&id) != Phase::Waiting || !plan.after.iter().all(|n| phase(n).is_over()) {
            return;
        }
        if plan.always || plan.after.iter().all(|n| phase(n).is_good()) {
            return self.start(key, id);
        }
        if let Some(node) = workflow.nodes.own().get_mut(id as usize) {
            node.times.created = now;
        }
        self.end(key, id, Phase::Omitted);
    }

    fn end(&mut self, key: Key, id: u32, phase: Phase) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        let blueprint = Arc::clone(&workflow.blueprint);
        let (Some(plan), Some(node)) = (blueprint.nodes.get(id as usize), self.node(key, id)) else { return };
        node.phase = phase;
        node.times.ended = now;
        let freed = std::mem::take(&mut node.holds_slot);
        self.free += usize::from(freed);
        self.changed(key);
        self.due.extend(plan.before.iter().map(|next| Due::Consider(key, *next)));
        self.due.extend(plan.parent.map(|parent| Due::Close(key, parent)));
    }

    /// Ends a DAG whose nodes are all over.
    fn close(&mut self, key: Key, id: u32) {
        let Some(workflow) = self.get(key) else { return };
        let Some(plan) = workflow.blueprint.nodes.get(id as usize) else { return };
        let running = workflow.nodes.phase(id as usize) == Some(Phase::Running);
        let mut children = plan.children.iter().filter_map(|c| workflow.nodes.phase(*c as usize));
        if !running || !children.clone().all(Phase::is_over) {
            return;
        }
        let failed = children.any(|phase| phase == Phase::Failed);
        self.end(key, id, if failed { Phase::Failed } else { Phase::Succeeded });
    }

    fn kill(&mut self, key: Key) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        let mut freed = 0;
        for (index, node) in workflow.nodes.own().iter_mut().enumerate() {
            // The entry exists as soon as the workflow was picked up, even if that happens now.
            if matches!(node.phase, Phase::Pending | Phase::Running) || (index == 0 && node.phase == Phase::Waiting) {
                node.times.created = if node.times.created == 0 { now } else { node.times.created };
                node.phase = Phase::Failed;
                node.times.ended = now;
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
            pod.times.admitted = now;
            self.free -= 1;
            self.plan(self.config.schedule, key, node, Step::Scheduled);
        }
    }

    /// Has the agent report the workflow, unless a report is already on its way.
    fn changed(&mut self, key: Key) {
        let Some(workflow) = self.get_mut(key) else { return };
        let owner = workflow.owner;
        if !std::mem::replace(&mut workflow.report_due, true) {
            self.plan(self.config.report_lag, key, 0, Step::Report);
        }
        self.news.extend(owner.map(News::Changed));
    }

    /// The server learns what is true now.
    fn report(&mut self, key: Key) {
        let now = self.now;
        let Some(workflow) = self.get_mut(key) else { return };
        workflow.report_due = false;
        workflow.edition += 1;
        let is_new = workflow.history.is_empty();
        for node in workflow.nodes.own() {
            if node.phase == Phase::Waiting {
                continue;
            }
            let state = node.phase.state();
            let end = node.phase.is_over().then_some(node.times.ended);
            let start = node.times.created;
            let known = node.reported.get_or_insert(Reported { state, start, end, history: Vec::new() });
            known.start = start;
            known.end = end;
            if known.history.last().is_none_or(|last| last.state != state) {
                known.history.push(Change { at: seconds(now), state });
            }
            known.state = state;
        }
        let entry = workflow.nodes.own().first().map(|n| (n.phase, n.times.ended));
        let Some(entry) = entry else { return };
        match entry {
            (Phase::Waiting, _) => {}
            (phase, end) if phase.is_over() => {
                workflow.finished = Some(end);
                workflow.record(now, phase.state());
            }
            _ if workflow.state == State::Canceling => {}
            (phase, _) => workflow.record(now, phase.state()),
        }
        if is_new {
            self.news.push_back(News::Appeared(key));
        }
    }
}

#[cfg(test)]
mod tests;
