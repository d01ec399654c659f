//! Which component waits for which: what a run can't do in less time than its critical path takes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Spec;

/// The components at the pipeline's top, each behind all that it waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph(Vec<Component>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Component {
    name: String,
    /// Places of those that it waits for.
    after: Vec<usize>,
}

impl Spec {
    /// The components at the pipeline's top. Nested DAGs and loops are one component each: their tasks' names need not be
    /// unique, and the API does not say which belongs to which.
    pub fn graph(&self) -> Graph {
        let tasks = self.ir.pointer("/root/dag/tasks").and_then(Value::as_object);
        let ordered = tasks.and_then(|tasks| in_order(tasks).ok()).unwrap_or_default();
        let mut components: Vec<Component> = Vec::with_capacity(ordered.len());
        for (key, task) in &ordered {
            let needed = dependencies(task);
            let after = ordered.iter().take(components.len()).enumerate();
            let after = after.filter(|(_, (other, _))| needed.contains(other)).map(|(place, _)| place).collect();
            components.push(Component { name: (*key).to_owned(), after });
        }
        Graph(components)
    }
}

impl Graph {
    /// The components on the way through the pipeline that took longest, by what each one took. Components of which that
    /// is not known, because they were skipped, count as nothing.
    pub fn critical_path(&self, seconds: impl Fn(&str) -> Option<f64>) -> Vec<&str> {
        let mut paths: Vec<(f64, Option<usize>)> = Vec::with_capacity(self.0.len());
        for component in &self.0 {
            let before = component.after.iter().filter_map(|&place| Some((paths.get(place)?.0, place)));
            let longest = before.max_by(|a, b| a.0.total_cmp(&b.0));
            let own = seconds(&component.name).unwrap_or(0.0);
            paths.push((longest.map_or(0.0, |(path, _)| path) + own, longest.map(|(_, place)| place)));
        }
        let last = paths.iter().enumerate().max_by(|a, b| a.1.0.total_cmp(&b.1.0));
        let mut place = last.map(|(place, _)| place);
        let mut path = Vec::new();
        while let Some(at) = place {
            path.extend(self.0.get(at).map(|component| component.name.as_str()));
            place = paths.get(at).and_then(|(_, before)| *before);
        }
        path.reverse();
        path
    }

    /// Whether nothing is known about the pipeline.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Tasks that must have ended before: those named, and those whose outputs are read.
pub(super) fn dependencies(task: &Value) -> BTreeSet<&str> {
    let named = task.get("dependentTasks").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let inputs = ["parameters", "artifacts"].into_iter().filter_map(|kind| task.get("inputs")?.get(kind)?.as_object());
    let read = inputs.flat_map(|inputs| inputs.values()).filter_map(|input| {
        let sources = ["taskOutputParameter", "taskOutputArtifact", "taskFinalStatus"];
        sources.into_iter().find_map(|source| input.get(source)?.get("producerTask")?.as_str())
    });
    named.chain(read).collect()
}

/// The tasks, each behind all that it waits for.
///
/// # Errors
/// The tasks that can't be put in order, because they wait for each other or for something unknown.
pub(super) fn in_order(tasks: &Map<String, Value>) -> Result<Vec<(&str, &Value)>, Vec<&str>> {
    let mut done = BTreeSet::new();
    let mut ordered = Vec::with_capacity(tasks.len());
    let mut open: Vec<(&str, &Value, BTreeSet<&str>)> =
        tasks.iter().map(|(key, task)| (key.as_str(), task, dependencies(task))).collect();
    while !open.is_empty() {
        let (ready, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, _, after)| after.is_subset(&done));
        if ready.is_empty() {
            return Err(rest.into_iter().map(|(key, ..)| key).collect());
        }
        done.extend(ready.iter().map(|(key, ..)| *key));
        ordered.extend(ready.into_iter().map(|(key, task, _)| (key, task)));
        open = rest;
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SMALL, spec};
    use super::*;

    #[test]
    fn the_longest_way_is_found() {
        let graph = spec(SMALL).graph();
        let path = |work: f64, nested: f64| {
            graph.critical_path(move |name| match name {
                "prepare" => Some(1.0),
                "work" => Some(work),
                "nested" => Some(nested),
                _ => None,
            })
        };
        assert_eq!(path(5.0, 2.0), ["prepare", "work"]);
        assert_eq!(path(2.0, 5.0), ["prepare", "nested"]);
        assert_eq!(graph.critical_path(|name| (name == "prepare").then_some(3.0)).first(), Some(&"prepare"));
    }

    #[test]
    fn without_a_pipeline_there_is_no_way() {
        assert!(Graph::default().critical_path(|_| Some(1.0)).is_empty());
    }

    #[test]
    fn a_graph_travels_as_text() {
        let graph = spec(SMALL).graph();
        let text = serde_json::to_string(&graph).unwrap();
        assert_eq!(serde_json::from_str::<Graph>(&text).unwrap(), graph);
    }
}
