//! What the plugin says of itself.

use kperf_plugin_sdk::{ColumnType, Description, MetricKind, Table, Unit};

const PARAMETERS: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "namespaces": {
      "description": "The namespaces whose pods are followed.",
      "type": "array",
      "minItems": 1,
      "uniqueItems": true,
      "items": { "type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" },
      "default": ["kubeflow"]
    },
    "selector": {
      "description": "A label selector, as `kubectl get pods -l` takes it; without it, all pods.",
      "type": "string",
      "default": ""
    },
    "page": {
      "description": "How many objects a page of a list has.",
      "type": "integer",
      "minimum": 1,
      "maximum": 5000,
      "default": 500
    }
  }
}"#;

const COUNTER: MetricKind = MetricKind::Counter;
const GAUGE: MetricKind = MetricKind::Gauge;
const DISTRIBUTION: MetricKind = MetricKind::Distribution;

/// All have the tag `component`. Kubernetes' instants are whole seconds, but for the time of a pull.
const METRICS: &[(&str, MetricKind, Unit, &str)] = &[
    ("k8s_pod_scheduling", DISTRIBUTION, Unit::Seconds, "From a pod's creation to its node; to the second"),
    (
        "k8s_pod_mount",
        DISTRIBUTION,
        Unit::Seconds,
        "From a pod's node until its volumes and sandbox were there; to the second",
    ),
    ("k8s_image_pull", DISTRIBUTION, Unit::Seconds, "The pull of an image, where it was not there; tag `container`"),
    ("k8s_container_start", DISTRIBUTION, Unit::Seconds, "From the main container's image until it ran; to the second"),
    (
        "k8s_pod_startup",
        DISTRIBUTION,
        Unit::Seconds,
        "From a pod's creation until its main container ran; to the second",
    ),
    ("k8s_pod_execution", DISTRIBUTION, Unit::Seconds, "From the main container's start to its end; to the second"),
    ("k8s_pod_restarts", COUNTER, Unit::None, "Containers that were started again"),
    ("k8s_oom_kills", COUNTER, Unit::None, "Containers that were killed for lack of memory"),
    ("k8s_pods_ended", COUNTER, Unit::None, "Pods by how they ended; tag `phase`"),
    ("k8s_scheduling_failures", COUNTER, Unit::None, "Attempts to find a node that failed"),
    ("k8s_mount_failures", COUNTER, Unit::None, "Attempts to attach or mount a volume that failed"),
    ("k8s_pods_pending", GAUGE, Unit::None, "Pods that wait for a node, an image or their start"),
    ("k8s_pods_running", GAUGE, Unit::None, "Pods that run"),
];

const TEXT: ColumnType = ColumnType::Text;
const INSTANT: ColumnType = ColumnType::Instant;
const NUMBER: ColumnType = ColumnType::Number;

/// The columns of `pods`, in the order of the rows.
const COLUMNS: &[(&str, ColumnType, Unit, &str)] = &[
    ("trace", TEXT, Unit::None, "What belongs together in a waterfall: the run, or else the pod"),
    ("component", TEXT, Unit::None, "The task of a pipeline, or the application"),
    ("pod", TEXT, Unit::None, "The pod's name"),
    ("namespace", TEXT, Unit::None, "Its namespace"),
    ("run_id", TEXT, Unit::None, "The run of Kubeflow Pipelines that it belonged to"),
    ("node", TEXT, Unit::None, "Where it ran"),
    ("image", TEXT, Unit::None, "The image of its main container"),
    ("phase", TEXT, Unit::None, "How it was at last"),
    ("created", INSTANT, Unit::None, "It was created"),
    ("scheduled", INSTANT, Unit::None, "It was given a node"),
    ("image_ready", INSTANT, Unit::None, "The image of its main container was there"),
    ("started", INSTANT, Unit::None, "Its main container ran for the first time"),
    ("finished", INSTANT, Unit::None, "Its main container ended"),
    ("scheduling", NUMBER, Unit::Seconds, "From its creation to its node"),
    ("mount", NUMBER, Unit::Seconds, "From its node until volumes and sandbox were there"),
    ("image_pull", NUMBER, Unit::Seconds, "All its pulls together; missing if its images were there"),
    ("start", NUMBER, Unit::Seconds, "From the image to a running container"),
    ("startup", NUMBER, Unit::Seconds, "From its creation to a running container"),
    ("execution", NUMBER, Unit::Seconds, "From the main container's start to its end"),
    ("restarts", ColumnType::Integer, Unit::None, "How often containers were started again"),
    ("oom_killed", ColumnType::Boolean, Unit::None, "Whether a container was killed for lack of memory"),
];

/// Modes with their parameters, metrics and tables.
pub fn description() -> Description {
    let description = Description::new(
        "kubernetes-collector",
        env!("CARGO_PKG_VERSION"),
        "Follows the pods of namespaces through the Kubernetes API",
    );
    let description = description.mode("pods", "Pods and their events, as they come", PARAMETERS);
    let table = Table::new("pods", "A row per pod that was created while load ran, when it is over");
    let table = table.columns(COLUMNS).span("trace", "component", "created", "finished");
    description.table(table).metrics(METRICS)
}

/// How many columns a row has.
#[cfg(test)]
pub fn columns() -> usize {
    COLUMNS.len()
}
