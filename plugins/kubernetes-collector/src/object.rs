//! The parts of Kubernetes' objects that matter here. Everything else in them is ignored, and nothing is taken for granted:
//! fields that should be there may be missing.

use std::collections::BTreeMap;

use kperf_plugin_sdk::instant::Instant;
use serde::Deserialize;

/// `metadata` of an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    pub creation_timestamp: Option<Instant>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Of a list: what asks for the next page.
    #[serde(rename = "continue")]
    pub next: Option<String>,
}

/// A list of objects.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    #[serde(default)]
    pub metadata: Metadata,
    /// Go writes an empty list as `null` where it feels like it.
    #[serde(default = "Option::default")]
    pub items: Option<Vec<T>>,
}

/// A line of a watch: `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`, and the object.
#[derive(Debug, Deserialize)]
pub struct WatchEvent {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub object: serde_json::Value,
}

/// The body of a refusal: its HTTP status, a word for programs and a text for people.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    pub code: u16,
    pub reason: String,
    pub message: String,
}

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Metadata,
    pub spec: PodSpec,
    pub status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    pub node_name: Option<String>,
    pub containers: Option<Vec<Container>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    pub name: String,
    pub image: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    pub phase: String,
    pub conditions: Option<Vec<Condition>>,
    pub container_statuses: Option<Vec<ContainerStatus>>,
    pub init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub last_transition_time: Option<Instant>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatus {
    pub name: String,
    pub restart_count: u64,
    pub state: ContainerState,
    pub last_state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    pub running: Option<Running>,
    pub terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Running {
    pub started_at: Option<Instant>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Terminated {
    pub reason: String,
    pub started_at: Option<Instant>,
    pub finished_at: Option<Instant>,
}

impl Pod {
    /// When a condition became true.
    pub fn since(&self, condition: &str) -> Option<Instant> {
        let mut all = self.status.conditions.iter().flatten();
        let held = all.find(|it| it.kind == condition && it.status == "True")?;
        held.last_transition_time
    }

    /// All containers, those that prepare the pod included.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        let own = self.status.container_statuses.iter().flatten();
        self.status.init_container_statuses.iter().flatten().chain(own)
    }

    /// The container that does the pod's work: `main`, as Argo calls it, or the first one.
    pub fn main(&self) -> Option<&Container> {
        let mut all = self.spec.containers.iter().flatten();
        all.clone().find(|it| it.name == "main").or_else(|| all.next())
    }

    /// The status of the main container.
    pub fn main_state(&self) -> Option<&ContainerStatus> {
        let main = self.main()?;
        self.status.container_statuses.iter().flatten().find(|it| it.name == main.name)
    }

    /// Whether none of its containers will run any more.
    pub fn is_over(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// What it is a part of: the task of a Kubeflow pipeline, else the application that its labels name.
    pub fn component(&self) -> String {
        let node = self.metadata.annotations.get("workflows.argoproj.io/node-name");
        if let Some(node) = node {
            let mut parts = node.rsplit('.');
            let last = parts.next().unwrap_or(node);
            let is_executor = last == "executor" || last.starts_with("executor(");
            return if is_executor { parts.next().unwrap_or(last) } else { last }.to_owned();
        }
        let labels = ["app.kubernetes.io/name", "app", "k8s-app"];
        let named = labels.iter().find_map(|label| self.metadata.labels.get(*label));
        named.map_or_else(|| "other".to_owned(), Clone::clone)
    }

    /// The run of Kubeflow Pipelines that it belongs to.
    pub fn run(&self) -> Option<&str> {
        self.metadata.labels.get("pipeline/runid").map(String::as_str)
    }
}

/// An event, in the older form or the newer one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Event {
    pub metadata: Metadata,
    pub involved_object: Reference,
    pub reason: String,
    pub message: String,
    pub count: Option<u64>,
    pub first_timestamp: Option<Instant>,
    pub last_timestamp: Option<Instant>,
    pub event_time: Option<Instant>,
    pub series: Option<Series>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Reference {
    pub kind: String,
    pub uid: String,
    pub field_path: Option<String>,
}

/// How often an event in the newer form happened.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Series {
    pub count: u64,
}

impl Event {
    /// When it happened, the last time if several times.
    pub fn at(&self) -> Option<Instant> {
        self.last_timestamp.or(self.event_time).or(self.first_timestamp).or(self.metadata.creation_timestamp)
    }

    /// How often it happened.
    pub fn times(&self) -> u64 {
        self.count.or(self.series.as_ref().map(|series| series.count)).unwrap_or(1).max(1)
    }

    /// The container that it is about: `spec.containers{main}`.
    pub fn container(&self) -> Option<&str> {
        let path = self.involved_object.field_path.as_deref()?;
        path.split_once('{')?.1.strip_suffix('}')
    }
}

/// A node of the cluster.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    pub metadata: Metadata,
    pub status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeStatus {
    pub capacity: BTreeMap<String, String>,
    pub node_info: NodeInfo,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeInfo {
    pub kernel_version: String,
    pub os_image: String,
    pub container_runtime_version: String,
    pub kubelet_version: String,
    pub architecture: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(node: &str) -> String {
        let annotations = [("workflows.argoproj.io/node-name".to_owned(), node.to_owned())].into();
        Pod { metadata: Metadata { annotations, ..Metadata::default() }, ..Pod::default() }.component()
    }

    #[test]
    fn a_task_names_its_pods() {
        assert_eq!(named("wf-1.root.work.executor"), "work");
        assert_eq!(named("wf-1.root.work.executor(2)"), "work");
        assert_eq!(named("wf-1.root.work-driver"), "work-driver");
        assert_eq!(named("wf-1.root-driver"), "root-driver");
    }

    #[test]
    fn other_pods_are_named_by_their_labels() {
        let mut pod = Pod::default();
        assert_eq!(pod.component(), "other");
        pod.metadata.labels.insert("app".to_owned(), "ml-pipeline".to_owned());
        assert_eq!(pod.component(), "ml-pipeline");
    }

    #[test]
    fn nothing_is_taken_for_granted() {
        let pod: Pod =
            serde_json::from_str(r#"{"spec": {"containers": null}, "status": {"conditions": null}}"#).unwrap();
        assert!(pod.main().is_none() && pod.since("Ready").is_none());
        let list: List<Pod> = serde_json::from_str(r#"{"items": null}"#).unwrap();
        assert!(list.items.is_none());
        let event: Event = serde_json::from_str(
            r#"{"eventTime": "2026-01-01T00:00:00.000001Z", "lastTimestamp": null,
            "involvedObject": {"kind": "Pod", "fieldPath": "spec.containers{main}"}, "series": {"count": 3}}"#,
        )
        .unwrap();
        assert_eq!((event.container(), event.times()), (Some("main"), 3));
        assert!(event.at().is_some());
    }
}
