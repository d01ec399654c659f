//! Pods and their events as the Kubernetes API lists them, for collectors that look beside Kubeflow Pipelines.
//!
//! Only lists, by `labelSelector` (`key=value`, joined by commas) or, for events, `fieldSelector=involvedObject.name=POD`,
//! in pages by `limit` and `continue`. Pods of prefilled runs are long gone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::blueprint::Kind;
use crate::draw::Draw;
use crate::query::Query;
use crate::runs::Run;
use crate::stamp::{Nanos, Stamp};
use crate::store::{Store, parse_id};
use crate::workflow::{Node, Phase, Workflow};

/// Nodes of the simulated cluster, by name only: slots are what counts.
const NODES: u64 = 4;
const RUN: &str = "pipeline/runid";

/// A pod with what it belongs to.
struct Pod<'a> {
    run: &'a Run,
    workflow: &'a Workflow,
    index: usize,
    node: Node,
    name: String,
}

fn stamp(at: Nanos) -> String {
    Stamp::of(at).to_string()
}

/// Adds a field to an object.
fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

impl Pod<'_> {
    fn uid(&self) -> Uuid {
        Draw::new(self.run.id.as_u64_pair().0).named("pod").of(self.index as u64).uuid()
    }

    fn is_driver(&self) -> bool {
        self.workflow.blueprint.nodes.get(self.index).is_none_or(|plan| plan.kind == Kind::Driver)
    }

    fn image(&self) -> &str {
        self.workflow.blueprint.nodes.get(self.index).map_or("", |plan| plan.image())
    }

    fn host(&self) -> String {
        format!("kperf-node-{}", Workflow::node_hash(self.run.id, self.index) % NODES)
    }

    fn labels(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert(RUN.to_owned(), json!(self.run.id));
        labels.insert("workflows.argoproj.io/workflow".to_owned(), json!(self.run.workflow_name));
        let completed = self.node.phase.is_over().to_string();
        labels.insert("workflows.argoproj.io/completed".to_owned(), json!(completed));
        if !self.is_driver() {
            labels.insert("pipelines.kubeflow.org/v2_component".to_owned(), json!("true"));
        }
        labels
    }

    /// The state of the main container.
    fn container(&self) -> Value {
        let t = self.node.times;
        let (state, started) = match self.node.phase {
            Phase::Running => (json!({"running": {"startedAt": stamp(t.started)}}), true),
            Phase::Succeeded | Phase::Failed => {
                let failed = self.node.phase == Phase::Failed;
                let (code, reason) = if failed { (1, "Error") } else { (0, "Completed") };
                let started = if t.started == 0 { t.ended } else { t.started };
                let terminated = json!({"exitCode": code, "reason": reason, "startedAt": stamp(started),
                    "finishedAt": stamp(t.ended)});
                (json!({"terminated": terminated}), false)
            }
            _ => (json!({"waiting": {"reason": "ContainerCreating"}}), false),
        };
        let over = self.node.phase.is_over() || started;
        json!({"name": "main", "image": self.image(), "imageID": if over { self.image() } else { "" },
            "ready": started, "started": started, "restartCount": 0, "state": state, "lastState": {}})
    }

    fn conditions(&self) -> Vec<Value> {
        let t = self.node.times;
        let condition = |kind: &str, at: Nanos, otherwise: Nanos, why: &str| {
            if at == 0 {
                return json!({"type": kind, "status": "False", "lastTransitionTime": stamp(otherwise), "reason": why});
            }
            json!({"type": kind, "status": "True", "lastTransitionTime": stamp(at)})
        };
        let mut all = vec![condition("PodScheduled", t.scheduled, t.created, "Unschedulable")];
        if t.scheduled != 0 {
            // Init containers share the pod's image here, so they are done when it is there.
            all.push(condition("Initialized", t.image_ready, t.scheduled, "ContainersNotInitialized"));
            for kind in ["Ready", "ContainersReady"] {
                if self.node.phase.is_over() {
                    all.push(json!({"type": kind, "status": "False", "reason": "PodCompleted",
                        "lastTransitionTime": stamp(t.ended)}));
                } else {
                    all.push(condition(kind, t.started, t.scheduled, "ContainersNotReady"));
                }
            }
        }
        all
    }

    fn json(&self) -> Value {
        let t = self.node.times;
        let phase = match self.node.phase {
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            _ => "Pending",
        };
        let node_name = format!("{}.{}", self.run.workflow_name, self.workflow.path(self.index));
        let node_id = format!("{}-{}", self.run.workflow_name, Workflow::node_hash(self.run.id, self.index));
        let mut spec = json!({"containers": [{"name": "main", "image": self.image()}], "restartPolicy": "Never",
            "serviceAccountName": &*self.run.service_account});
        let mut status = json!({"phase": phase, "conditions": self.conditions()});
        if t.scheduled != 0 {
            put(&mut spec, "nodeName", json!(self.host()));
            put(&mut status, "startTime", json!(stamp(t.scheduled)));
            put(&mut status, "containerStatuses", json!([self.container()]));
        }
        json!({
            "metadata": {
                "name": self.name,
                "namespace": &*self.run.namespace,
                "uid": self.uid(),
                "creationTimestamp": stamp(t.created),
                "labels": self.labels(),
                "annotations": {
                    "workflows.argoproj.io/node-name": node_name,
                    "workflows.argoproj.io/node-id": node_id,
                },
                "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
                    "name": self.run.workflow_name, "uid": self.run.id, "controller": true}],
            },
            "spec": spec,
            "status": status,
        })
    }

    fn events(&self) -> Vec<Value> {
        let t = self.node.times;
        let mut events = Vec::new();
        let mut add = |at: Nanos, kind: &str, reason: &str, component: &str, message: String| {
            if at == 0 {
                return;
            }
            let serial = format!("{:x}", at.wrapping_add(events.len() as u64));
            events.push(json!({
                "metadata": {"name": format!("{}.{serial}", self.name), "namespace": &*self.run.namespace,
                    "creationTimestamp": stamp(at)},
                "involvedObject": {"kind": "Pod", "apiVersion": "v1", "namespace": &*self.run.namespace,
                    "name": self.name, "uid": self.uid()},
                "reason": reason, "message": message, "type": kind, "count": 1,
                "source": {"component": component},
                "firstTimestamp": stamp(at), "lastTimestamp": stamp(at), "eventTime": null,
            }));
        };
        let image = self.image();
        if t.admitted > t.created || t.admitted == 0 {
            let message = format!("0/{NODES} nodes are available: {NODES} Too many pods.");
            add(t.created, "Warning", "FailedScheduling", "default-scheduler", message);
        }
        let message = format!("Successfully assigned {}/{} to {}", self.run.namespace, self.name, self.host());
        add(t.scheduled, "Normal", "Scheduled", "default-scheduler", message);
        if t.pulled {
            add(t.scheduled, "Normal", "Pulling", "kubelet", format!("Pulling image \"{image}\""));
            let took = t.image_ready.saturating_sub(t.scheduled) as f64 / 1e9;
            let message = format!("Successfully pulled image \"{image}\" in {took:.3}s ({took:.3}s including waiting)");
            add(t.image_ready, "Normal", "Pulled", "kubelet", message);
        } else {
            let message = format!("Container image \"{image}\" already present on machine");
            add(t.image_ready, "Normal", "Pulled", "kubelet", message);
        }
        add(t.started, "Normal", "Created", "kubelet", "Created container: main".to_owned());
        add(t.started, "Normal", "Started", "kubelet", "Started container main".to_owned());
        events
    }
}

/// `key=value` pairs that must all hold; `None` if it is written otherwise.
fn selector(text: &str) -> Option<Vec<(&str, &str)>> {
    let pairs = text.split(',').filter(|part| !part.is_empty());
    pairs.map(|part| part.split_once("==").or_else(|| part.split_once('='))).collect()
}

fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code});
    (code, body)
}

/// A page of the things from `offset` on, and whether there are more.
fn paged(kind: &str, query: &Query, items: impl Iterator<Item = Value>) -> (u16, Value) {
    let offset = match query.get("continue").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => {
            let read = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
            let Some(offset) = read else { return status(400, "BadRequest", "continue key is not valid") };
            offset
        }
    };
    let limit = query.get("limit").and_then(|text| text.parse().ok()).filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let mut items = items.skip(offset);
    let page: Vec<Value> = items.by_ref().take(limit).collect();
    let left = items.count();
    let mut metadata = json!({"resourceVersion": "1"});
    if left > 0 {
        put(&mut metadata, "continue", json!(STANDARD.encode((offset + page.len()).to_string())));
        put(&mut metadata, "remainingItemCount", json!(left));
    }
    (200, json!({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": page}))
}

impl Store {
    /// The runs whose pods may be there: one, or all since the start, oldest first.
    fn runs_with_pods(&self, id: Option<Uuid>) -> Vec<&Run> {
        if let Some(id) = id {
            let hidden = self.appearing.values().find(|run| run.id == id);
            return self.runs.get(id).or(hidden).into_iter().collect();
        }
        let began = self.began();
        let is_own = |run: &&Run| self.cluster.get(run.workflow).is_some_and(|w| w.created >= began);
        let mut runs: Vec<&Run> = self.runs.rows(None).rev().take_while(is_own).collect();
        runs.extend(self.appearing.values());
        runs.sort_by_key(|run| (run.created, run.id));
        runs
    }

    fn pods<'a>(&'a self, namespace: &'a str, run: Option<Uuid>) -> impl Iterator<Item = Pod<'a>> {
        let runs = self.runs_with_pods(run).into_iter().filter(move |run| *run.namespace == *namespace);
        let known = runs.filter_map(|run| Some((run, self.cluster.get(run.workflow)?)));
        known.filter(|(_, workflow)| !workflow.is_gone).flat_map(|(run, workflow)| {
            workflow.nodes.iter().enumerate().filter_map(move |(index, node)| {
                let has_pod = !matches!(node.phase, Phase::Waiting | Phase::Skipped | Phase::Omitted);
                let name = workflow.pod_name(&run.workflow_name, run.id, index).filter(|_| has_pod)?;
                Some(Pod { run, workflow, index, node: node.into_owned(), name })
            })
        })
    }

    /// GET /api/v1/namespaces/{namespace}/pods: status and body.
    pub(crate) fn list_pods(&self, namespace: &str, query: &Query) -> (u16, Value) {
        let text = query.get("labelSelector").unwrap_or_default();
        let Some(wanted) = selector(text) else {
            return status(400, "BadRequest", &format!("unable to parse requirement: {text}: only key=value is known"));
        };
        let run = wanted.iter().find(|(key, _)| *key == RUN).map(|(_, id)| parse_id(id));
        let fits = |pod: &Pod<'_>| {
            let labels = if wanted.is_empty() { Map::new() } else { pod.labels() };
            wanted.iter().all(|(key, value)| labels.get(*key).is_some_and(|has| has == value))
        };
        paged("PodList", query, self.pods(namespace, run).filter(fits).map(|pod| pod.json()))
    }

    /// GET /api/v1/namespaces/{namespace}/events: status and body. Events have no labels.
    pub(crate) fn list_events(&self, namespace: &str, query: &Query) -> (u16, Value) {
        let text = query.get("fieldSelector").unwrap_or_default();
        let labels = query.get("labelSelector").unwrap_or_default();
        let pod = match selector(text).as_deref() {
            Some([]) => None,
            Some([("involvedObject.name", name)]) => Some(*name),
            _ => return status(400, "BadRequest", &format!("field label not supported: {text}")),
        };
        let pods = self.pods(namespace, None).filter(|p| labels.is_empty() && pod.is_none_or(|name| p.name == name));
        paged("EventList", query, pods.flat_map(|pod| pod.events()))
    }

    /// The log of a pod, by its name or its node's id.
    pub(crate) fn pod_log(&self, run: &str, node: &str) -> Option<String> {
        let run = self.runs.get(parse_id(run))?;
        let mut pods = self.pods(&run.namespace, Some(run.id));
        let is_asked = |pod: &Pod<'_>| {
            let id = format!("{}-{}", run.workflow_name, Workflow::node_hash(run.id, pod.index));
            pod.name == node || id == node
        };
        let pod = pods.find(is_asked)?;
        let mut log = String::new();
        for (at, what) in [(pod.node.times.started, "started"), (pod.node.times.ended, "ended")] {
            if at != 0 {
                log.push_str(&format!("{} simulated container main of {} {what}\n", stamp(at), pod.name));
            }
        }
        Some(log)
    }
}
