//! Ready sets of queries, by name. Each query becomes the metric of its name; one that is in several sets is asked once.
//!
//! Names of KFP's metrics are those of its API server, its controllers and Argo; of pods, those of cAdvisor and
//! kube-state-metrics. `component` is a container's name.

use kperf_plugin_sdk::Unit;

use crate::query::{Kind, Query, Type};

/// A query of a set.
pub struct Ready {
    /// Names of sets: `kfp`, `mlflow`, `kubernetes-pods`.
    sets: &'static [&'static str],
    pub name: &'static str,
    pub unit: Unit,
    pub description: &'static str,
    labels: &'static [&'static str],
    expr: &'static str,
}

const KFP: &[&str] = &["kfp"];
const MLFLOW: &[&str] = &["mlflow"];
const PODS: &[&str] = &["kubernetes-pods"];
const ALL: &[&str] = &["kfp", "mlflow", "kubernetes-pods"];

const fn ready(
    sets: &'static [&'static str],
    name: &'static str,
    unit: Unit,
    labels: &'static [&'static str],
    description: &'static str,
    expr: &'static str,
) -> Ready {
    Ready { sets, name, unit, description, labels, expr }
}

/// Every query of every set, once.
pub const READY: &[Ready] = &[
    ready(
        ALL,
        "component_cpu",
        Unit::None,
        &["component"],
        "Processor cores that a component uses",
        "sum by (component) (label_replace(rate(container_cpu_usage_seconds_total{namespace=~\"$namespace\",\
         container!=\"\",container!=\"POD\"}[$rate]), \"component\", \"$1\", \"container\", \"(.*)\"))",
    ),
    ready(
        ALL,
        "component_memory",
        Unit::Bytes,
        &["component"],
        "Memory that a component needs (working set)",
        "sum by (component) (label_replace(container_memory_working_set_bytes{namespace=~\"$namespace\",\
         container!=\"\",container!=\"POD\"}, \"component\", \"$1\", \"container\", \"(.*)\"))",
    ),
    ready(
        KFP,
        "kfp_api_requests",
        Unit::None,
        &["grpc_method", "grpc_code"],
        "Calls per second that the API server answered",
        "sum by (grpc_method, grpc_code) (rate(grpc_server_handled_total{grpc_service=~\".*v2beta1.*\"}[$rate]))",
    ),
    ready(
        KFP,
        "kfp_api_duration_p95",
        Unit::Seconds,
        &["grpc_method"],
        "The 95th percentile of the API server's answers, within the buckets of its histogram",
        "histogram_quantile(0.95, sum by (grpc_method, le) \
         (rate(grpc_server_handling_seconds_bucket{grpc_service=~\".*v2beta1.*\"}[$rate]))) >= 0",
    ),
    ready(
        KFP,
        "kfp_api_failures",
        Unit::Ratio,
        &[],
        "The share of calls that the API server answered with an error",
        "(sum(rate(grpc_server_handled_total{grpc_service=~\".*v2beta1.*\",grpc_code!=\"OK\"}[$rate])) or vector(0)) \
         / (sum(rate(grpc_server_handled_total{grpc_service=~\".*v2beta1.*\"}[$rate])) > 0)",
    ),
    ready(
        KFP,
        "kfp_workflows",
        Unit::None,
        &["phase"],
        "Workflows by their phase, as Argo's controller sees them",
        "sum by (phase) (argo_workflows_gauge)",
    ),
    ready(
        KFP,
        "kfp_workflow_queue_depth",
        Unit::None,
        &["queue_name"],
        "Workflows that wait for Argo's controller",
        "sum by (queue_name) (argo_workflows_queue_depth_gauge)",
    ),
    ready(
        KFP,
        "kfp_workflow_queue_latency_p95",
        Unit::Seconds,
        &[],
        "The 95th percentile of the time that workflows wait for Argo's controller",
        "histogram_quantile(0.95, sum by (le) (rate(argo_workflows_queue_latency_bucket[$rate]))) >= 0",
    ),
    ready(
        KFP,
        "kfp_scheduled_workflow_queue",
        Unit::None,
        &[],
        "Recurring runs that wait for their controller",
        "sum(scheduled_workflow_queue_size)",
    ),
    ready(
        MLFLOW,
        "mlflow_requests",
        Unit::None,
        &["http_method", "http_status"],
        "Requests per second that MLflow answered",
        "sum by (http_method, http_status) (label_replace(label_replace(rate(mlflow_http_request_total[$rate]), \
         \"http_status\", \"$1\", \"status\", \"(.*)\"), \"http_method\", \"$1\", \"method\", \"(.*)\"))",
    ),
    ready(
        MLFLOW,
        "mlflow_request_duration_p95",
        Unit::Seconds,
        &[],
        "The 95th percentile of MLflow's answers, within the buckets of its histogram",
        "histogram_quantile(0.95, sum by (le) (rate(mlflow_http_request_duration_seconds_bucket[$rate]))) >= 0",
    ),
    ready(
        MLFLOW,
        "mlflow_request_failures",
        Unit::Ratio,
        &[],
        "The share of requests that MLflow answered with a status from 500",
        "(sum(rate(mlflow_http_request_total{status=~\"5..\"}[$rate])) or vector(0)) \
         / (sum(rate(mlflow_http_request_total[$rate])) > 0)",
    ),
    ready(
        PODS,
        "pods_cpu",
        Unit::None,
        &["pod"],
        "Processor cores that a pod uses",
        "sum by (pod) (rate(container_cpu_usage_seconds_total{namespace=~\"$namespace\",container!=\"\",\
         container!=\"POD\"}[$rate]))",
    ),
    ready(
        PODS,
        "pods_memory",
        Unit::Bytes,
        &["pod"],
        "Memory that a pod needs (working set)",
        "sum by (pod) (container_memory_working_set_bytes{namespace=~\"$namespace\",container!=\"\",container!=\"POD\"})",
    ),
    ready(
        PODS,
        "pods_network_received",
        Unit::Bytes,
        &["pod"],
        "Bytes per second that a pod received",
        "sum by (pod) (rate(container_network_receive_bytes_total{namespace=~\"$namespace\"}[$rate]))",
    ),
    ready(
        PODS,
        "pods_network_sent",
        Unit::Bytes,
        &["pod"],
        "Bytes per second that a pod sent",
        "sum by (pod) (rate(container_network_transmit_bytes_total{namespace=~\"$namespace\"}[$rate]))",
    ),
    ready(
        PODS,
        "pods_storage_read",
        Unit::Bytes,
        &["pod"],
        "Bytes per second that a pod read from its file systems",
        "sum by (pod) (rate(container_fs_reads_bytes_total{namespace=~\"$namespace\",container!=\"\"}[$rate]))",
    ),
    ready(
        PODS,
        "pods_storage_written",
        Unit::Bytes,
        &["pod"],
        "Bytes per second that a pod wrote to its file systems",
        "sum by (pod) (rate(container_fs_writes_bytes_total{namespace=~\"$namespace\",container!=\"\"}[$rate]))",
    ),
    ready(
        PODS,
        "pods_volume_used",
        Unit::Bytes,
        &["persistentvolumeclaim"],
        "Bytes that are used of a volume",
        "max by (persistentvolumeclaim) (kubelet_volume_stats_used_bytes{namespace=~\"$namespace\"})",
    ),
    ready(
        PODS,
        "pods_by_phase",
        Unit::None,
        &["phase"],
        "Pods by their phase",
        "sum by (phase) (kube_pod_status_phase{namespace=~\"$namespace\"})",
    ),
    ready(
        PODS,
        "pods_restarts",
        Unit::None,
        &[],
        "Restarts of containers so far, of the pods that there are",
        "sum(kube_pod_container_status_restarts_total{namespace=~\"$namespace\"})",
    ),
];

/// The queries of sets.
pub fn queries(sets: &[String]) -> impl Iterator<Item = Query> {
    let wanted = READY.iter().filter(|ready| ready.sets.iter().any(|set| sets.iter().any(|wanted| wanted == set)));
    wanted.map(|ready| Query {
        name: ready.name.to_owned(),
        expr: ready.expr.to_owned(),
        when: Type::Range,
        kind: Kind::Gauge,
        labels: ready.labels.iter().map(|label| (*label).to_owned()).collect(),
        aggregate: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_of_several_sets_is_asked_once() {
        let names = |sets: &[&str]| -> Vec<String> {
            queries(&sets.iter().map(|set| (*set).to_owned()).collect::<Vec<_>>()).map(|query| query.name).collect()
        };
        let both = names(&["kfp", "mlflow"]);
        assert_eq!(both.iter().filter(|name| *name == "component_cpu").count(), 1);
        assert_eq!(names(&["kfp"]).len() + names(&["mlflow"]).len(), both.len() + 2);
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn every_set_of_the_schema_has_queries() {
        let schema: serde_json::Value = serde_json::from_str(crate::description::PARAMETERS).unwrap();
        for set in schema["properties"]["queries"]["items"]["enum"].as_array().unwrap() {
            assert!(READY.iter().any(|ready| ready.sets.contains(&set.as_str().unwrap())), "{set}");
        }
    }
}
