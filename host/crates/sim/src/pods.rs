//! Pods and their events as the Kubernetes API shows them, at any instant of the past.
//!
//! What happened to a pod is known by its times, so how it looked then needs no memory of its own: what came later is left
//! out. Pods of prefilled runs are long gone.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::blueprint::Kind;
use crate::draw::Draw;
use crate::nodes::{NODES, node_name};
use crate::runs::Run;
use crate::stamp::{Nanos, Stamp};
use crate::store::{Store, parse_id};
use crate::workflow::{Node, Phase, Times, Workflow};

/// The label that names a pod's run.
pub(crate) const RUN: &str = "pipeline/runid";

/// A pod with what it belongs to.
pub(crate) struct Pod<'a> {
    run: &'a Run,
    workflow: &'a Workflow,
    index: usize,
    node: Node,
    pub(crate) name: String,
    /// When it was deleted; 0 = it is there.
    pub(crate) deleted: Nanos,
}

/// Something that happened to a pod and that its watchers see.
pub(crate) struct Happening {
    pub(crate) at: Nanos,
    /// `Pulled`; the API's word for it.
    reason: &'static str,
    kind: &'static str,
    component: &'static str,
    message: String,
}

/// A node as it was at an instant; none if it did not exist yet.
fn as_of(node: &Node, at: Nanos) -> Option<Node> {
    let t = node.times;
    let known = |then: Nanos| if then <= at { then } else { 0 };
    if known(t.created) == 0 {
        return None;
    }
    let times = Times {
        created: t.created,
        admitted: known(t.admitted),
        scheduled: known(t.scheduled),
        image_ready: known(t.image_ready),
        pulled: t.pulled,
        started: known(t.started),
        ended: known(t.ended),
    };
    let phase = match node.phase {
        phase if times.ended != 0 => phase,
        _ if times.started != 0 => Phase::Running,
        _ => Phase::Pending,
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
            // No volumes to wait for.
            all.insert(0, condition("PodReadyToStartContainers", t.scheduled, t.created, ""));
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

    /// When something happened that changed how it looks, in the order of its life.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Nanos> {
        let t = self.node.times;
        let all = [t.created, t.scheduled, t.image_ready, t.started, t.ended, self.deleted];
        all.into_iter().filter(|at| *at != 0)
    }

    /// How it was at an instant; none before its creation and after its deletion.
    pub(crate) fn then(&self, at: Nanos) -> Option<Self> {
        if self.deleted != 0 && self.deleted <= at {
            return None;
        }
        let node = as_of(&self.node, at)?;
        let (run, workflow, index, name) = (self.run, self.workflow, self.index, self.name.clone());
        Some(Self { run, workflow, index, node, name, deleted: 0 })
    }

    pub(crate) fn created(&self) -> Nanos {
        self.node.times.created
    }

    /// The object, without `kind` and `apiVersion`, as it is in lists.
    pub(crate) fn json(&self) -> Value {
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
                "resourceVersion": self.changes().max().unwrap_or_default().to_string(),
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

    /// What Kubernetes tells of it as events, oldest first.
    pub(crate) fn happenings(&self) -> Vec<Happening> {
        let t = self.node.times;
        let mut all = Vec::new();
        let mut add = |at: Nanos, reason: &'static str, message: String| {
            if at == 0 {
                return;
            }
            let component = match reason {
                "FailedScheduling" | "Scheduled" => "default-scheduler",
                _ => "kubelet",
            };
            let kind = if reason == "FailedScheduling" { "Warning" } else { "Normal" };
            all.push(Happening { at, reason, kind, component, message });
        };
        let image = self.image();
        if t.admitted > t.created || t.admitted == 0 {
            let message = format!("0/{NODES} nodes are available: {NODES} Too many pods.");
            add(t.created, "FailedScheduling", message);
        }
        let message = format!("Successfully assigned {}/{} to {}", self.run.namespace, self.name, self.host());
        add(t.scheduled, "Scheduled", message);
        if t.pulled {
            add(t.scheduled, "Pulling", format!("Pulling image \"{image}\""));
            let took = go_duration(t.image_ready.saturating_sub(t.scheduled));
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
    pub(crate) fn event(&self, number: usize, happening: &Happening) -> Value {
        let Happening { at, reason, kind, component, message } = happening;
        let serial = format!("{:x}", at.wrapping_add(number as u64));
        let uid = Draw::new(self.run.id.as_u64_pair().1).named("event").of(self.index as u64).of(number as u64).uuid();
        let mut event = json!({
            "metadata": {"name": format!("{}.{serial}", self.name), "namespace": &*self.run.namespace, "uid": uid,
                "resourceVersion": at.to_string(), "creationTimestamp": stamp(*at)},
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
            put(&mut event, "firstTimestamp", json!(stamp(*at)));
            put(&mut event, "lastTimestamp", json!(stamp(*at)));
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
    let text = stamp(at);
    format!("{}.{:06}Z", text.trim_end_matches('Z'), at % 1_000_000_000 / 1000)
}

impl Store {
    /// The runs whose pods may have been there: one, or all since the start, oldest first, with the instant at which their
    /// pods were deleted (0 = they are there).
    fn runs_with_pods(&self, id: Option<Uuid>) -> Vec<(&Run, &Workflow, Nanos)> {
        let began = self.began();
        let known = |run| -> Option<(&Run, &Workflow, Nanos)> {
            let run: &Run = run;
            let workflow = self.cluster.get(run.workflow)?;
            Some((run, workflow, workflow.gone_at))
        };
        let own = self.runs.rows(None).rev().map_while(|run| {
            // Prefilled runs are older than the server, so the newest rows are the server's own.
            let all = known(run);
            all.filter(|(_, workflow, _)| workflow.created >= began)
        });
        let appearing = self.appearing.values().filter_map(known);
        let gone = self.gone.iter().map(|(at, run, workflow)| {
            let at = if workflow.gone_at == 0 { at } else { workflow.gone_at };
            (run, workflow, at)
        });
        let mut runs: Vec<_> =
            own.chain(appearing).chain(gone).filter(|(run, ..)| id.is_none_or(|id| run.id == id)).collect();
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
        let lively = of_namespace.filter(move |(_, workflow, deleted)| {
            let ended =
                workflow.nodes.iter().next().filter(|entry| entry.phase.is_over()).map(|entry| entry.times.ended);
            ended.is_none_or(|ended| ended >= since) || *deleted >= since
        });
        lively.flat_map(|(run, workflow, deleted)| {
            workflow.nodes.iter().enumerate().filter_map(move |(index, node)| {
                let has_pod = !matches!(node.phase, Phase::Waiting | Phase::Skipped | Phase::Omitted);
                let name = workflow.pod_name(&run.workflow_name, run.id, index).filter(|_| has_pod)?;
                Some(Pod { run, workflow, index, node: node.into_owned(), name, deleted })
            })
        })
    }

    /// The log of a pod, by its name or its node's id.
    pub(crate) fn pod_log(&self, run: &str, node: &str) -> Option<String> {
        let run = self.runs.get(parse_id(run))?;
        let mut pods = self.pods(&run.namespace, Some(run.id), 0).filter(|pod| pod.deleted == 0);
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
        let times =
            Times { created: 10, admitted: 11, scheduled: 20, image_ready: 30, pulled: true, started: 40, ended: 50 };
        let node = Node { phase: Phase::Failed, times, holds_slot: false, reported: None };
        let phase = |at| as_of(&node, at).map(|node| (node.phase, node.times.scheduled, node.times.ended));
        assert_eq!(phase(9), None);
        assert_eq!(phase(10), Some((Phase::Pending, 0, 0)));
        assert_eq!(phase(39), Some((Phase::Pending, 20, 0)));
        assert_eq!(phase(40), Some((Phase::Running, 20, 0)));
        assert_eq!(phase(50), Some((Phase::Failed, 20, 50)));
    }
}
