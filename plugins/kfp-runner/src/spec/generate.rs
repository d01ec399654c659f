//! Pipelines of a wanted size.

use serde_json::{Map, Value, json};

use super::Spec;

/// In which direction a pipeline grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// So many tasks beside each other.
    Tasks,
    /// So many DAGs in each other.
    Nesting,
    /// So many parameters, all of which the one task reads.
    Parameters,
    /// A file of so many bytes.
    Bytes,
}

/// What every generated pipeline runs.
const IMAGE: &str = "busybox:1.36";

/// A pipeline that does as little as a pipeline can: one task that ends at once.
pub fn smallest() -> Spec {
    pipeline(Growth::Tasks, 1)
}

/// A pipeline of this size.
pub fn pipeline(growth: Growth, size: usize) -> Spec {
    let mut parts = Parts::default();
    let root = match growth {
        Growth::Tasks => {
            let tasks = (0..size.max(1)).map(|number| (format!("task-{number}"), task("comp-step", json!({}))));
            json!({ "dag": { "tasks": tasks.collect::<Map<_, _>>() } })
        }
        Growth::Nesting => parts.nest(size.max(1)),
        Growth::Parameters => parts.parameters(size),
        Growth::Bytes => json!({ "dag": { "tasks": { "task-0": task("comp-step", json!({})) } } }),
    };
    parts.components.entry("comp-step").or_insert_with(|| json!({ "executorLabel": "exec-step" }));
    let name = match growth {
        Growth::Tasks => format!("kperf-tasks-{size}"),
        Growth::Nesting => format!("kperf-nesting-{size}"),
        Growth::Parameters => format!("kperf-parameters-{size}"),
        Growth::Bytes => format!("kperf-bytes-{size}"),
    };
    let args = if parts.words.is_empty() { vec!["0".to_owned()] } else { parts.words };
    let command: &[&str] = if growth == Growth::Parameters { &["sh", "-c", "sleep 0", "--"] } else { &["sleep"] };
    let mut spec = Spec::new(json!({
        "pipelineInfo": { "name": name },
        "schemaVersion": "2.1.0",
        "sdkVersion": "kperf-0.1",
        "root": root,
        "components": parts.components,
        "deploymentSpec": { "executors": { "exec-step": {
            "container": { "image": IMAGE, "command": command, "args": args } } } },
    }));
    if growth == Growth::Bytes {
        spec.pad(size);
    }
    spec
}

fn task(component: &str, inputs: Value) -> Value {
    json!({ "componentRef": { "name": component }, "cachingOptions": {}, "inputs": inputs })
}

#[derive(Default)]
struct Parts {
    components: Map<String, Value>,
    /// The container's arguments.
    words: Vec<String>,
}

impl Parts {
    /// So many DAGs in each other, the innermost of which holds the step.
    fn nest(&mut self, depth: usize) -> Value {
        let mut inner = "comp-step".to_owned();
        for level in (1..depth).rev() {
            let name = format!("comp-level-{level}");
            let tasks = Map::from_iter([(format!("level-{}", level + 1), task(&inner, json!({})))]);
            self.components.insert(name.clone(), json!({ "dag": { "tasks": tasks } }));
            inner = name;
        }
        json!({ "dag": { "tasks": { "level-1": task(&inner, json!({})) } } })
    }

    fn parameters(&mut self, count: usize) -> Value {
        let (mut outer, mut passed, mut taken) = (Map::new(), Map::new(), Map::new());
        for number in 0..count {
            let name = format!("parameter-{number}");
            let default = format!("the default of the parameter number {number}");
            outer.insert(name.clone(), json!({ "parameterType": "STRING", "defaultValue": default }));
            passed.insert(name.clone(), json!({ "componentInputParameter": name }));
            taken.insert(name.clone(), json!({ "parameterType": "STRING" }));
            self.words.push(format!("{{{{$.inputs.parameters['{name}']}}}}"));
        }
        let component = json!({ "executorLabel": "exec-step", "inputDefinitions": { "parameters": taken } });
        self.components.insert("comp-step".into(), component);
        json!({ "inputDefinitions": { "parameters": outer },
            "dag": { "tasks": { "task-0": task("comp-step", json!({ "parameters": passed })) } } })
    }
}

impl Spec {
    /// Makes the file as large as wanted, as far as it is not larger already: by an environment variable of the container,
    /// which the server keeps, unlike a comment.
    fn pad(&mut self, bytes: usize) {
        let empty = json!([{ "name": "PADDING", "value": "" }]);
        let Some(container) = self.ir.pointer_mut("/deploymentSpec/executors/exec-step/container") else { return };
        if let Some(container) = container.as_object_mut() {
            container.insert("env".into(), empty);
        }
        let missing = bytes.saturating_sub(self.to_bytes().len());
        if let Some(value) = self.ir.pointer_mut("/deploymentSpec/executors/exec-step/container/env/0/value") {
            *value = Value::String("x".repeat(missing));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_pipelines_are_good_ones() {
        for growth in [Growth::Tasks, Growth::Nesting, Growth::Parameters, Growth::Bytes] {
            for size in [0, 1, 7, 100] {
                let spec = pipeline(growth, size);
                assert_eq!(spec.problems(), Vec::<String>::new(), "{growth:?} {size}");
                assert_eq!(spec.parameter_problems(&Map::new()), Vec::<String>::new());
            }
        }
    }

    #[test]
    fn they_have_the_size_that_was_asked_for() {
        let tasks = |spec: &Spec| spec.ir["root"]["dag"]["tasks"].as_object().unwrap().len();
        assert_eq!(tasks(&pipeline(Growth::Tasks, 12)), 12);
        assert_eq!(pipeline(Growth::Nesting, 5).ir["components"].as_object().unwrap().len(), 5);
        let parameters = pipeline(Growth::Parameters, 9);
        assert_eq!(parameters.ir["root"]["inputDefinitions"]["parameters"].as_object().unwrap().len(), 9);
        assert_eq!(pipeline(Growth::Bytes, 5000).to_bytes().len(), 5000);
        assert_eq!(pipeline(Growth::Bytes, super::super::LARGEST).to_bytes().len(), super::super::LARGEST);
    }
}
