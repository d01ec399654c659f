//! The nodes of the simulated cluster, and what the Kubernetes API says of itself. Slots are what counts for pods; nodes are
//! there to be named.

use serde_json::{Value, json};

use crate::timestamp::{Nanos, Timestamp};

/// How many nodes there are.
pub(crate) const NODES: u64 = 4;

const VERSION: &str = "v1.33.1";

/// The name of a node.
pub(crate) fn node_name(number: u64) -> String {
    format!("kperf-node-{number}")
}

/// GET /version
pub(crate) fn version() -> Value {
    json!({"major": "1", "minor": "33", "gitVersion": VERSION, "gitCommit": "simulated", "gitTreeState": "clean",
        "buildDate": "2025-05-15T08:19:08Z", "goVersion": "go1.24.2", "compiler": "gc", "platform": "linux/amd64"})
}

/// GET /api/v1/nodes, as of an instant; the nodes were made with the server.
pub(crate) fn nodes(began: Nanos, now: Nanos) -> Value {
    let began_at = Timestamp::of(began).to_string();
    let node = |number: u64| {
        json!({
            "metadata": {
                "name": node_name(number), "uid": format!("00000000-0000-4000-8000-00000000000{number}"),
                "resourceVersion": began.to_string(), "creationTimestamp": began_at,
                "labels": {"kubernetes.io/hostname": node_name(number), "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64"},
            },
            "spec": {},
            "status": {
                "capacity": {"cpu": "8", "memory": "32858732Ki", "pods": "110"},
                "allocatable": {"cpu": "8", "memory": "32756332Ki", "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                    "lastHeartbeatTime": began_at, "lastTransitionTime": began_at}],
                "addresses": [{"type": "Hostname", "address": node_name(number)}],
                "nodeInfo": {
                    "machineID": format!("simulated-{number}"), "systemUUID": format!("simulated-{number}"),
                    "bootID": format!("simulated-{number}"), "kernelVersion": "6.8.0-60-generic",
                    "osImage": "Ubuntu 24.04.2 LTS", "containerRuntimeVersion": "containerd://2.0.5",
                    "kubeletVersion": VERSION, "kubeProxyVersion": VERSION, "operatingSystem": "linux",
                    "architecture": "amd64",
                },
            },
        })
    };
    let items: Vec<Value> = (0..NODES).map(node).collect();
    json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": now.to_string()}, "items": items})
}
