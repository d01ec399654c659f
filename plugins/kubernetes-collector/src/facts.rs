//! What the cluster is: versions, and what its nodes are.

use std::collections::BTreeMap;

use kperf_plugin_sdk::{Failure, notes};
use serde::Deserialize;

use crate::{
    client::{Resource, get},
    object::Node,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

/// A fact's key and what a node says about it.
type Fact = (&'static str, fn(&Node) -> &str);

/// Notes the facts. What may not be read is named and left out.
pub async fn note(page: u32) -> Result<(), Failure> {
    let version: Version = get("version", "/version").await?;
    notes::fact("kubernetes", &version.git_version);
    let nodes =
        Resource { list: "list_nodes", watch: "watch_nodes", path: "/api/v1/nodes".into(), selector: String::new() };
    match nodes.list::<Node>(page).await {
        Ok(listed) => {
            notes::fact("nodes", &listed.items.len().to_string());
            for (key, value) in of_nodes(&listed.items) {
                notes::fact(key, &value);
            }
        }
        Err(failure) if failure.kind == "forbidden" => {
            notes::incident("nodes-unknown", &format!("run.json has no facts of the nodes: {}", failure.message), 1);
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}

/// What the nodes have in common, and how many have what where they differ: `6.8.0 (3), 6.1.0 (1)`.
fn of_nodes(nodes: &[Node]) -> Vec<(&'static str, String)> {
    let facts: [Fact; 7] = [
        ("kernel", |node| &node.status.node_info.kernel_version),
        ("os", |node| &node.status.node_info.os_image),
        ("container_runtime", |node| &node.status.node_info.container_runtime_version),
        ("kubelet", |node| &node.status.node_info.kubelet_version),
        ("architecture", |node| &node.status.node_info.architecture),
        ("node_cpu", |node| node.status.capacity.get("cpu").map_or("", String::as_str)),
        ("node_memory", |node| node.status.capacity.get("memory").map_or("", String::as_str)),
    ];
    let fact = |(key, read): Fact| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for value in nodes.iter().map(read).filter(|value| !value.is_empty()) {
            *counts.entry(value).or_default() += 1;
        }
        let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let text = match counts.as_slice() {
            [] => return None,
            [(value, _)] => (*value).to_owned(),
            several => several.iter().map(|(value, count)| format!("{value} ({count})")).collect::<Vec<_>>().join(", "),
        };
        Some((key, text))
    };
    facts.into_iter().filter_map(fact).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_differ_are_counted() {
        let node = |kernel: &str| {
            let mut node = Node::default();
            node.status.node_info.kernel_version = kernel.to_owned();
            node.status.node_info.os_image = "Debian".to_owned();
            node
        };
        let facts = of_nodes(&[node("6.1"), node("6.8"), node("6.8")]);
        assert_eq!(facts, [("kernel", "6.8 (2), 6.1 (1)".to_owned()), ("os", "Debian".to_owned())]);
    }
}
