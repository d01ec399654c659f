//! Pods and their events as the Kubernetes API shows them, at any instant of the past.
//!
//! What happened to a pod is known by its times, so its state at an instant needs no memory of its own: all that came later is
//! left out. Pods of prefilled runs are long gone.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::cluster::template::NodeKind;
use crate::cluster::workflow::{Node, NodePhase, NodeTimes, Workflow};
use crate::kfp::json::parse_id;
use crate::kfp::rows::run::Run;
use crate::kfp::store::Store;
use crate::kubernetes::nodes::{NODES, node_name};
use crate::random::RandomStream;
use crate::timestamp::{Nanos, Timestamp};

/// The label that names a pod's run.
pub(crate) const RUN: &str = "pipeline/runid";

/// A pod with what it belongs to.
pub(crate) struct Pod<'a> {
    run: &'a Run,
    workflow: &'a Workflow,
    index: usize,
    node: Node,
    pub(crate) name: String,
    /// When it was deleted.
    pub(crate) deleted: Option<Nanos>,
}

/// An event of a pod.
pub(crate) struct PodEvent {
    pub(crate) at: Nanos,
    /// The API's word for it, like `Pulled`.
    reason: &'static str,
    kind: &'static str,
    component: &'static str,
    message: String,
}

/// A node as it was at an instant; none if it did not exist yet.
fn node_as_of(node: &Node, at: Nanos) -> Option<Node> {
    let t = node.times;
    let known = |then: Option<Nanos>| then.filter(|then| *then <= at);
    known(t.created)?;
    let times = NodeTimes {
        created: t.created,
        admitted: known(t.admitted),
        scheduled: known(t.scheduled),
        image_ready: known(t.image_ready),
        pulled: t.pulled,
        started: known(t.started),
        ended: known(t.ended),
    };
    let phase = match node.phase {
        phase if times.ended.is_some() => phase,
        _ if times.started.is_some() => NodePhase::Running,
        _ => NodePhase::Pending,
    };
    Some(Node { phase, times, holds_slot: node.holds_slot, reported: None })
}

/// A duration as Go writes it, in whole milliseconds: `845ms`, `2.5s`, `1m2s`.
fn go_duration(nanos: Nanos) -> String {
    let millis = nanos / 1_000_000;
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = format!("{}.{:03}", rest / 1000, rest % 1000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    match (minutes, millis) {
        (0, 0) => "0s".to_owned(),
        (0, ..1000) => format!("{millis}ms"),
        (0, _) => format!("{seconds}s"),
        _ => format!("{minutes}m{seconds}s"),
    }
}

/// A whole second; 1970 for what has not happened.
fn timestamp(at: Option<Nanos>) -> String {
    Timestamp::or_epoch(at).to_string()
}

/// Adds a field to an object.
fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

impl Pod<'_> {
    fn uid(&self) -> Uuid {
        RandomStream::new(self.run.id.as_u64_pair().0).fork_named("pod").fork(self.index as u64).uuid()
    }

    fn is_driver(&self) -> bool {
        self.workflow.template.nodes.get(self.index).is_none_or(|planned| planned.kind == NodeKind::Driver)
    }

    fn image(&self) -> &str {
        self.workflow.template.nodes.get(self.index).map_or("", |planned| planned.image())
    }

    fn host(&self) -> String {
        node_name(Workflow::node_hash(self.run.id, self.index) % NODES)
    }

    pub(crate) fn labels(&self) -> Map<String, Value> {
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
            NodePhase::Running => (json!({"running": {"startedAt": timestamp(t.started)}}), true),
            NodePhase::Succeeded | NodePhase::Failed => {
                let failed = self.node.phase == NodePhase::Failed;
                let (code, reason) = if failed { (1, "Error") } else { (0, "Completed") };
                let started = t.started.or(t.ended);
                let terminated = json!({"exitCode": code, "reason": reason, "startedAt": timestamp(started),
                    "finishedAt": timestamp(t.ended)});
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
        let condition = |kind: &str, at: Option<Nanos>, otherwise: Option<Nanos>, why: &str| {
            if at.is_none() {
                return json!({"type": kind, "status": "False", "lastTransitionTime": timestamp(otherwise), "reason": why});
            }
            json!({"type": kind, "status": "True", "lastTransitionTime": timestamp(at)})
        };
        let mut all = vec![condition("PodScheduled", t.scheduled, t.created, "Unschedulable")];
        if t.scheduled.is_some() {
            // No volumes to wait for.
            all.insert(0, condition("PodReadyToStartContainers", t.scheduled, t.created, ""));
            // Init containers share the pod's image here, so they are done when it is there.
            all.push(condition("Initialized", t.image_ready, t.scheduled, "ContainersNotInitialized"));
            for kind in ["Ready", "ContainersReady"] {
                if self.node.phase.is_over() {
                    all.push(json!({"type": kind, "status": "False", "reason": "PodCompleted",
                        "lastTransitionTime": timestamp(t.ended)}));
                } else {
                    all.push(condition(kind, t.started, t.scheduled, "ContainersNotReady"));
                }
            }
        }
        all
    }

    /// When its object changed, oldest first.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Nanos> {
        let t = self.node.times;
        let all = [t.created, t.scheduled, t.image_ready, t.started, t.ended, self.deleted];
        all.into_iter().flatten()
    }

    /// The pod as it was at an instant; none before its creation and after its deletion.
    pub(crate) fn as_of(&self, at: Nanos) -> Option<Self> {
        if self.deleted.is_some_and(|deleted| deleted <= at) {
            return None;
        }
        let node = node_as_of(&self.node, at)?;
        let (run, workflow, index, name) = (self.run, self.workflow, self.index, self.name.clone());
        Some(Self { run, workflow, index, node, name, deleted: None })
    }

    pub(crate) fn created(&self) -> Option<Nanos> {
        self.node.times.created
    }

    /// The object, without `kind` and `apiVersion`, as it is in lists.
    pub(crate) fn json(&self) -> Value {
        let t = self.node.times;
        let phase = match self.node.phase {
            NodePhase::Running => "Running",
            NodePhase::Succeeded => "Succeeded",
            NodePhase::Failed => "Failed",
            _ => "Pending",
        };
        let node_name = format!("{}.{}", self.run.workflow_name, self.workflow.path(self.index));
        let node_id = format!("{}-{}", self.run.workflow_name, Workflow::node_hash(self.run.id, self.index));
        let mut spec = json!({"containers": [{"name": "main", "image": self.image()}], "restartPolicy": "Never",
            "serviceAccountName": &*self.run.service_account});
        let mut status = json!({"phase": phase, "conditions": self.conditions()});
        if t.scheduled.is_some() {
            put(&mut spec, "nodeName", json!(self.host()));
            put(&mut status, "startTime", json!(timestamp(t.scheduled)));
            put(&mut status, "containerStatuses", json!([self.container()]));
        }
        json!({
            "metadata": {
                "name": self.name,
                "namespace": &*self.run.namespace,
                "uid": self.uid(),
                "resourceVersion": self.changes().max().unwrap_or_default().to_string(),
                "creationTimestamp": timestamp(t.created),
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

    /// Its events, oldest first.
    pub(crate) fn events(&self) -> Vec<PodEvent> {
        let t = self.node.times;
        let mut all = Vec::new();
        let mut add = |at: Option<Nanos>, reason: &'static str, message: String| {
            let Some(at) = at else { return };
            let component = match reason {
                "FailedScheduling" | "Scheduled" => "default-scheduler",
                _ => "kubelet",
            };
            let kind = if reason == "FailedScheduling" { "Warning" } else { "Normal" };
            all.push(PodEvent { at, reason, kind, component, message });
        };
        let image = self.image();
        if t.admitted != t.created {
            let message = format!("0/{NODES} nodes are available: {NODES} Too many pods.");
            add(t.created, "FailedScheduling", message);
        }
        let message = format!("Successfully assigned {}/{} to {}", self.run.namespace, self.name, self.host());
        add(t.scheduled, "Scheduled", message);
        if t.pulled {
            add(t.scheduled, "Pulling", format!("Pulling image \"{image}\""));
            let took = go_duration(t.image_ready.unwrap_or_default().saturating_sub(t.scheduled.unwrap_or_default()));
            let message = format!(
                "Successfully pulled image \"{image}\" in {took} ({took} including waiting). Image size: 2152262 bytes."
            );
            add(t.image_ready, "Pulled", message);
        } else {
            add(t.image_ready, "Pulled", format!("Container image \"{image}\" already present on machine"));
        }
        add(t.started, "Created", "Created container: main".to_owned());
        add(t.started, "Started", "Started container main".to_owned());
        all
    }

    /// One of its events, without `kind` and `apiVersion`. The scheduler writes them in the newer form, with microseconds.
    pub(crate) fn event(&self, number: usize, event: &PodEvent) -> Value {
        let PodEvent { at, reason, kind, component, message } = event;
        let serial = format!("{:x}", at.wrapping_add(number as u64));
        let uid = RandomStream::new(self.run.id.as_u64_pair().1)
            .fork_named("event")
            .fork(self.index as u64)
            .fork(number as u64)
            .uuid();
        let mut event = json!({
            "metadata": {"name": format!("{}.{serial}", self.name), "namespace": &*self.run.namespace, "uid": uid,
                "resourceVersion": at.to_string(), "creationTimestamp": timestamp(Some(*at))},
            "involvedObject": {"kind": "Pod", "apiVersion": "v1", "namespace": &*self.run.namespace,
                "name": self.name, "uid": self.uid()},
            "reason": reason, "message": message, "type": kind,
            "reportingComponent": component, "reportingInstance": self.host(),
        });
        if *component == "default-scheduler" {
            put(&mut event, "source", json!({}));
            put(&mut event, "firstTimestamp", Value::Null);
            put(&mut event, "lastTimestamp", Value::Null);
            put(&mut event, "eventTime", json!(micro(*at)));
            put(&mut event, "action", json!("Binding"));
        } else {
            put(&mut event, "source", json!({"component": component, "host": self.host()}));
            put(&mut event, "firstTimestamp", json!(timestamp(Some(*at))));
            put(&mut event, "lastTimestamp", json!(timestamp(Some(*at))));
            put(&mut event, "eventTime", Value::Null);
            put(&mut event, "count", json!(1));
            if let Some(object) = event.get_mut("involvedObject") {
                put(object, "fieldPath", json!("spec.containers{main}"));
            }
        }
        event
    }
}

/// An instant with microseconds.
fn micro(at: Nanos) -> String {
    let text = Timestamp::of(at).to_string();
    format!("{}.{:06}Z", text.trim_end_matches('Z'), at % 1_000_000_000 / 1000)
}

impl Store {
    /// The runs whose pods may have been there: one, or all since the start, oldest first, with the instant at which their
    /// pods were deleted.
    fn runs_with_pods(&self, id: Option<Uuid>) -> Vec<(&Run, &Workflow, Option<Nanos>)> {
        let began = self.began();
        let known = |run| -> Option<(&Run, &Workflow, Option<Nanos>)> {
            let run: &Run = run;
            let workflow = self.cluster.get(run.workflow)?;
            Some((run, workflow, workflow.deleted_at))
        };
        let own = self.runs.rows(None).rev().map_while(|run| {
            // Prefilled runs are older than the server, so the newest rows are the server's own.
            let all = known(run);
            all.filter(|(_, workflow, _)| workflow.created >= began)
        });
        let unreported = self.unreported.values().filter_map(known);
        let deleted = self.deleted.iter().map(|(at, run, workflow)| (run, workflow, workflow.deleted_at.or(Some(at))));
        let mut runs: Vec<_> =
            own.chain(unreported).chain(deleted).filter(|(run, ..)| id.is_none_or(|id| run.id == id)).collect();
        runs.retain(|(_, workflow, _)| workflow.created >= began);
        runs.sort_by_key(|(run, ..)| (run.created, run.id));
        runs
    }

    /// The pods of a namespace as they are now, deleted ones included; without those in whose runs nothing happened since an
    /// instant.
    pub(crate) fn pods<'a>(
        &'a self,
        namespace: &'a str,
        run: Option<Uuid>,
        since: Nanos,
    ) -> impl Iterator<Item = Pod<'a>> {
        let of_namespace = self.runs_with_pods(run).into_iter().filter(move |(run, ..)| *run.namespace == *namespace);
        let changed = of_namespace.filter(move |(_, workflow, deleted)| {
            let entry = workflow.nodes.iter().next();
            let ended = entry.filter(|entry| entry.phase.is_over()).and_then(|entry| entry.times.ended);
            ended.is_none_or(|ended| ended >= since) || deleted.is_some_and(|deleted| deleted >= since)
        });
        changed.flat_map(|(run, workflow, deleted)| {
            workflow.nodes.iter().enumerate().filter_map(move |(index, node)| {
                let has_pod = !matches!(node.phase, NodePhase::Waiting | NodePhase::Skipped | NodePhase::Omitted);
                let name = workflow.pod_name(&run.workflow_name, run.id, index).filter(|_| has_pod)?;
                Some(Pod { run, workflow, index, node: node.into_owned(), name, deleted })
            })
        })
    }

    /// The log of a pod, by its name or its node's id.
    pub(crate) fn pod_log(&self, run: &str, node: &str) -> Option<String> {
        let run = self.runs.get(parse_id(run))?;
        let mut pods = self.pods(&run.namespace, Some(run.id), 0).filter(|pod| pod.deleted.is_none());
        let is_asked = |pod: &Pod<'_>| {
            let id = format!("{}-{}", run.workflow_name, Workflow::node_hash(run.id, pod.index));
            pod.name == node || id == node
        };
        let pod = pods.find(is_asked)?;
        let mut log = String::new();
        for (at, what) in [(pod.node.times.started, "started"), (pod.node.times.ended, "ended")] {
            if at.is_some() {
                log.push_str(&format!("{} simulated container main of {} {what}\n", timestamp(at), pod.name));
            }
        }
        Some(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        for (millis, text) in [(0, "0s"), (845, "845ms"), (2500, "2.5s"), (2000, "2s"), (62_050, "1m2.05s")] {
            assert_eq!(go_duration(millis * 1_000_000 + 999), text);
        }
    }

    #[test]
    fn what_came_later_is_left_out() {
        let times = NodeTimes {
            created: Some(10),
            admitted: Some(11),
            scheduled: Some(20),
            image_ready: Some(30),
            pulled: true,
            started: Some(40),
            ended: Some(50),
        };
        let node = Node { phase: NodePhase::Failed, times, holds_slot: false, reported: None };
        let phase = |at| node_as_of(&node, at).map(|node| (node.phase, node.times.scheduled, node.times.ended));
        assert_eq!(phase(9), None);
        assert_eq!(phase(10), Some((NodePhase::Pending, None, None)));
        assert_eq!(phase(39), Some((NodePhase::Pending, Some(20), None)));
        assert_eq!(phase(40), Some((NodePhase::Running, Some(20), None)));
        assert_eq!(phase(50), Some((NodePhase::Failed, Some(20), Some(50))));
    }
}
