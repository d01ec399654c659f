//! What a pipeline specification asks the cluster to do: the nodes of its workflow and how long each pod works.
//!
//! How long an executor runs, first match wins: the container's environment variable `KPERF_SIM_SECONDS`; the sum of
//! all `sleep N`, `sleep(N)` in command and arguments (`N` may end in s, m or h); else 0.5 to 2 s at random, by component
//! and task name. Placeholders of input parameters are filled in where the value is known before the run. A command
//! `false`, or `exit N` with N other than 0, fails.
//!
//! Work whose task enables caching has a fingerprint of its container, its known inputs and the work whose outputs it
//! reads: equal fingerprints stand for equal results.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

use crate::random::RandomStream;

/// Environment variable of a container that says how long it runs, in seconds.
const SECONDS_VARIABLE: &str = "KPERF_SIM_SECONDS";
/// More nodes than any workflow that fits into etcd has; a specification beyond it is refused.
const MAX_NODES: usize = 20_000;
/// The image of every driver pod, pulled once.
const DRIVER_IMAGE: &str = "kfp-driver";

/// A specification that can't be made into a workflow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The specification has no root component.
    #[error("root component is missing")]
    NoRoot,
    /// More nodes than any workflow that fits into etcd has.
    #[error("workflow has more than {MAX_NODES} nodes")]
    TooManyNodes,
    /// A component that is part of itself.
    #[error("component {0} contains itself")]
    Recursion(String),
    /// A component that does nothing.
    #[error("component {0} has neither a DAG nor an executor")]
    EmptyComponent(String),
    /// A task that names no component.
    #[error("task {0} has no componentRef")]
    NoComponent(String),
    /// A task of a component that does not exist.
    #[error("component {component} of task {task} not found")]
    UnknownComponent {
        /// The component's name.
        component: String,
        /// The task's key.
        task: String,
    },
    /// A component of an executor that does not exist.
    #[error("executor {0} not found")]
    UnknownExecutor(String),
    /// A task behind a task that does not exist.
    #[error("task {task} depends on an unknown task: {dependencies:?}")]
    UnknownTask {
        /// The task's key.
        task: String,
        /// All tasks that it depends on.
        dependencies: Vec<String>,
    },
    /// Tasks that wait for each other.
    #[error("tasks depend on each other in a cycle")]
    Cycle,
}

/// What a node is, and for a pod what it runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NodeKind {
    /// Groups nodes; runs nothing itself.
    Dag,
    /// A driver pod, running the driver's image.
    Driver,
    /// A pod running user code for so many seconds, failing at the end if it says so. `result` stands for what the work
    /// leads to, where that may be taken from the cache.
    Executor { image: Box<str>, seconds: f64, fails: bool, result: Option<u64> },
}

/// One node of the workflow.
#[derive(Debug, Clone)]
pub(crate) struct TemplateNode {
    /// What the API shows as display name; empty for the entry, which is named after the workflow.
    pub(crate) name: Box<str>,
    pub(crate) kind: NodeKind,
    pub(crate) parent: Option<u32>,
    /// Siblings that must have ended before.
    pub(crate) after: Vec<u32>,
    /// Siblings waiting for this one.
    pub(crate) before: Vec<u32>,
    pub(crate) children: Vec<u32>,
    /// Starts even if what came before failed (exit handlers).
    pub(crate) always: bool,
    /// For a driver: what it drives is a DAG.
    pub(crate) drives_dag: bool,
}

impl TemplateNode {
    /// The image that the node's pod needs.
    pub(crate) fn image(&self) -> &str {
        match &self.kind {
            NodeKind::Executor { image, .. } => image,
            _ => DRIVER_IMAGE,
        }
    }
}

impl TemplateNode {
    /// What the API lists as child tasks: a DAG's first nodes, or what waits for this one.
    pub(crate) fn next_in_graph(&self) -> impl Iterator<Item = u32> {
        self.children.iter().take(1).chain(&self.before).copied()
    }
}

/// The nodes of a workflow; the first is the entry.
#[derive(Debug, Clone)]
pub(crate) struct WorkflowTemplate {
    pub(crate) nodes: Vec<TemplateNode>,
}

impl WorkflowTemplate {
    /// Lays out the nodes of `spec` for the given parameters.
    ///
    /// # Errors
    /// A name in the specification points nowhere, tasks form a cycle, or there are too many nodes.
    pub(crate) fn new(spec: &Value, parameters: &Map<String, Value>) -> Result<Self, TemplateError> {
        let name = spec.pointer("/pipelineInfo/name").and_then(Value::as_str);
        let mut builder = Builder { spec, nodes: Vec::new(), depth: 0, work: fingerprint(&name), cacheable: false };
        let root = spec.get("root").ok_or(TemplateError::NoRoot)?;
        let entry = builder.add("", NodeKind::Dag, None, Vec::new(), false)?;
        let driver = builder.add("root-driver", NodeKind::Driver, Some(entry), Vec::new(), false)?;
        builder.drives_dag(driver);
        let body = builder.add("root", NodeKind::Dag, Some(entry), vec![driver], false)?;
        let inputs = with_defaults(root, parameters.clone());
        builder.component(root, "root", body, &inputs)?;
        let mut nodes = builder.nodes;
        for i in 0..nodes.len() {
            let (after, parent) = nodes.get(i).map(|n| (n.after.clone(), n.parent)).unwrap_or_default();
            let id = u32::try_from(i).unwrap_or(u32::MAX);
            for earlier in after {
                if let Some(node) = nodes.get_mut(earlier as usize) {
                    node.before.push(id);
                }
            }
            if let Some(parent) = parent.and_then(|p| nodes.get_mut(p as usize)) {
                parent.children.push(id);
            }
        }
        Ok(Self { nodes })
    }
}

struct Builder<'a> {
    spec: &'a Value,
    nodes: Vec<TemplateNode>,
    depth: usize,
    /// The fingerprint of the task that is being laid out.
    work: u64,
    /// The task enables caching.
    cacheable: bool,
}

fn fingerprint(of: &impl Hash) -> u64 {
    // Its keys are fixed, so that equal things are equal for as long as the server lives.
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl Builder<'_> {
    fn add(
        &mut self,
        name: &str,
        kind: NodeKind,
        parent: Option<u32>,
        after: Vec<u32>,
        always: bool,
    ) -> Result<u32, TemplateError> {
        if self.nodes.len() >= MAX_NODES {
            return Err(TemplateError::TooManyNodes);
        }
        let id = u32::try_from(self.nodes.len()).map_err(|_| TemplateError::TooManyNodes)?;
        let (before, children) = (Vec::new(), Vec::new());
        let name = name.into();
        self.nodes.push(TemplateNode { name, kind, parent, after, before, children, always, drives_dag: false });
        Ok(id)
    }

    fn drives_dag(&mut self, driver: u32) {
        if let Some(driver) = self.nodes.get_mut(driver as usize) {
            driver.drives_dag = true;
        }
    }

    /// Fills the DAG node `parent` with what `component` holds: an executor or tasks.
    fn component(
        &mut self,
        component: &Value,
        name: &str,
        parent: u32,
        inputs: &Map<String, Value>,
    ) -> Result<(), TemplateError> {
        if self.depth > 50 {
            return Err(TemplateError::Recursion(name.to_owned()));
        }
        self.depth += 1;
        let result = if let Some(tasks) = component.pointer("/dag/tasks").and_then(Value::as_object) {
            self.tasks(tasks, parent, inputs)
        } else if let Some(label) = component.get("executorLabel").and_then(Value::as_str) {
            self.executor(label, name, parent, inputs)
        } else {
            Err(TemplateError::EmptyComponent(name.to_owned()))
        };
        self.depth -= 1;
        result
    }

    fn tasks(
        &mut self,
        tasks: &Map<String, Value>,
        parent: u32,
        inputs: &Map<String, Value>,
    ) -> Result<(), TemplateError> {
        let mut wrappers: Vec<(&str, u32)> = Vec::with_capacity(tasks.len());
        let mut works: Vec<(&str, u64)> = Vec::with_capacity(tasks.len());
        let outer = (self.work, self.cacheable);
        for (key, task) in in_order(tasks)? {
            let name = task.pointer("/taskInfo/name").and_then(Value::as_str).unwrap_or(key);
            let after: Vec<u32> = dependencies(task)
                .into_iter()
                .filter_map(|d| wrappers.iter().find(|(k, _)| *k == d).map(|(_, id)| *id))
                .collect();
            let always =
                task.pointer("/triggerPolicy/strategy").and_then(Value::as_str) == Some("ALL_UPSTREAM_TASKS_COMPLETED");
            let component_name = task
                .pointer("/componentRef/name")
                .and_then(Value::as_str)
                .ok_or_else(|| TemplateError::NoComponent(key.to_owned()))?;
            let component = self.spec.get("components").and_then(|c| c.get(component_name)).ok_or_else(|| {
                TemplateError::UnknownComponent { component: component_name.to_owned(), task: key.to_owned() }
            })?;
            let resolved = with_defaults(component, task_inputs(task, inputs));
            let driver = self.add(&format!("{name}-driver"), NodeKind::Driver, Some(parent), after, always)?;
            let wrapper = self.add(name, NodeKind::Dag, Some(parent), vec![driver], false)?;
            wrappers.push((key, wrapper));
            self.cacheable = task.pointer("/cachingOptions/enableCache") == Some(&Value::Bool(true));
            let read: Vec<u64> =
                producers(task).filter_map(|p| works.iter().find(|(k, _)| *k == p).map(|(_, work)| *work)).collect();
            let given = (task.get("inputs").map(Value::to_string), Value::Object(resolved.clone()).to_string());
            self.work = fingerprint(&(outer.0, component_name, given, read));
            works.push((key, self.work));
            let items = loop_items(task, inputs);
            if items.is_some() || component.get("dag").is_some() {
                self.drives_dag(driver);
            }
            match items {
                None => self.component(component, name, wrapper, &resolved)?,
                Some(items) => self.iterations(task, component, wrapper, &resolved, &items)?,
            }
        }
        (self.work, self.cacheable) = outer;
        Ok(())
    }

    /// One driver and one DAG per item of a loop, all side by side.
    fn iterations(
        &mut self,
        task: &Value,
        component: &Value,
        wrapper: u32,
        inputs: &Map<String, Value>,
        items: &[Value],
    ) -> Result<(), TemplateError> {
        let variable = task.pointer("/parameterIterator/itemInput").and_then(Value::as_str).unwrap_or_default();
        let (work, cacheable) = (self.work, self.cacheable);
        for (index, item) in items.iter().enumerate() {
            let mut inputs = inputs.clone();
            inputs.insert(variable.to_owned(), item.clone());
            let driver = self.add("iteration-driver", NodeKind::Driver, Some(wrapper), Vec::new(), false)?;
            if component.get("dag").is_some() {
                self.drives_dag(driver);
            }
            (self.work, self.cacheable) = (fingerprint(&(work, index, item.to_string())), cacheable);
            let name = format!("iteration({index}:{index})");
            let body = self.add(&name, NodeKind::Dag, Some(wrapper), vec![driver], false)?;
            self.component(component, &name, body, &inputs)?;
        }
        Ok(())
    }

    fn executor(
        &mut self,
        label: &str,
        task: &str,
        parent: u32,
        inputs: &Map<String, Value>,
    ) -> Result<(), TemplateError> {
        let executor = self
            .spec
            .pointer("/deploymentSpec/executors")
            .and_then(|e| e.get(label))
            .ok_or_else(|| TemplateError::UnknownExecutor(label.to_owned()))?;
        let Some(container) = executor.get("container") else {
            // Importers and resolvers run inside their driver and have no pod of their own.
            return Ok(());
        };
        let image: Box<str> = container.get("image").and_then(Value::as_str).unwrap_or_default().into();
        let words = words(container, inputs);
        let seconds = declared_seconds(container)
            .or_else(|| slept_seconds(&words.join(" ")))
            .unwrap_or_else(|| 0.5 + 1.5 * RandomStream::new(0).fork_named(label).fork_named(task).unit());
        let result = self.cacheable.then(|| fingerprint(&(self.work, container.to_string())));
        let kind = NodeKind::Executor { image, seconds, fails: fails(&words), result };
        self.add("executor", kind, Some(parent), Vec::new(), false).map(|_| ())
    }
}

/// The tasks with every task behind those that it depends on.
fn in_order(tasks: &Map<String, Value>) -> Result<Vec<(&str, &Value)>, TemplateError> {
    let mut done: HashSet<&str> = HashSet::new();
    let mut ordered = Vec::with_capacity(tasks.len());
    let mut open: Vec<(&str, &Value, Vec<&str>)> =
        tasks.iter().map(|(k, t)| (k.as_str(), t, dependencies(t))).collect();
    if let Some((key, _, missing)) = open.iter().find(|(_, _, d)| d.iter().any(|d| !tasks.contains_key(*d))) {
        let dependencies = missing.iter().map(|task| (*task).to_owned()).collect();
        return Err(TemplateError::UnknownTask { task: (*key).to_owned(), dependencies });
    }
    while !open.is_empty() {
        let (ready, rest): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|(_, _, d)| d.iter().all(|d| done.contains(d)));
        if ready.is_empty() {
            return Err(TemplateError::Cycle);
        }
        done.extend(ready.iter().map(|(key, ..)| *key));
        ordered.extend(ready.into_iter().map(|(key, task, _)| (key, task)));
        open = rest;
    }
    Ok(ordered)
}

/// Tasks whose outputs are read.
fn producers(task: &Value) -> impl Iterator<Item = &str> {
    let inputs = ["parameters", "artifacts"].into_iter().filter_map(|k| task.get("inputs")?.get(k)?.as_object());
    inputs.flat_map(|m| m.values()).filter_map(|input| {
        ["taskOutputParameter", "taskOutputArtifact", "taskFinalStatus"]
            .into_iter()
            .find_map(|k| input.get(k)?.get("producerTask")?.as_str())
    })
}

/// Tasks that must end before: those named, and those whose outputs are read.
fn dependencies(task: &Value) -> Vec<&str> {
    let named = task.get("dependentTasks").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut all: Vec<&str> = named.chain(producers(task)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The task's inputs that are known before the run.
fn task_inputs(task: &Value, outer: &Map<String, Value>) -> Map<String, Value> {
    let declared = task.pointer("/inputs/parameters").and_then(Value::as_object);
    let known = declared.into_iter().flatten().filter_map(|(name, input)| {
        let constant = input.pointer("/runtimeValue/constant");
        let passed = || outer.get(input.get("componentInputParameter")?.as_str()?);
        Some((name.clone(), constant.or_else(passed)?.clone()))
    });
    known.collect()
}

/// The inputs, completed by the defaults that the component declares.
fn with_defaults(component: &Value, mut inputs: Map<String, Value>) -> Map<String, Value> {
    let declared = component.pointer("/inputDefinitions/parameters").and_then(Value::as_object);
    for (name, definition) in declared.into_iter().flatten() {
        if let Some(default) = definition.get("defaultValue") {
            inputs.entry(name.as_str()).or_insert_with(|| default.clone());
        }
    }
    inputs
}

/// The items of a loop; a loop over something that only the run would know has three.
fn loop_items(task: &Value, inputs: &Map<String, Value>) -> Option<Vec<Value>> {
    if task.get("artifactIterator").is_some() {
        return Some(vec![Value::Null; 3]);
    }
    let items = task.get("parameterIterator")?.get("items")?;
    let raw = items.get("raw").and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    let value = raw.or_else(|| inputs.get(items.get("inputParameter")?.as_str()?).cloned());
    Some(value.and_then(|v| v.as_array().cloned()).unwrap_or_else(|| vec![Value::Null; 3]))
}

/// Command and arguments with the known placeholders filled in.
fn words(container: &Value, inputs: &Map<String, Value>) -> Vec<String> {
    let lists = ["command", "args"].into_iter().filter_map(|k| container.get(k)?.as_array());
    let texts = lists.flatten().filter_map(Value::as_str);
    texts
        .map(|text| {
            let Some(start) = text.find("{{$.inputs.parameters['") else { return text.to_owned() };
            let mut filled = text.get(..start).unwrap_or_default().to_owned();
            for piece in text.get(start..).unwrap_or_default().split("{{$.inputs.parameters['") {
                let Some((name, rest)) = piece.split_once("']}}") else {
                    filled.push_str(piece);
                    continue;
                };
                match inputs.get(name) {
                    Some(Value::String(text)) => filled.push_str(text),
                    Some(value) => filled.push_str(&value.to_string()),
                    None => {}
                }
                filled.push_str(rest);
            }
            filled
        })
        .collect()
}

fn declared_seconds(container: &Value) -> Option<f64> {
    let variables = container.get("env")?.as_array()?;
    let found = variables.iter().find(|v| v.get("name").and_then(Value::as_str) == Some(SECONDS_VARIABLE))?;
    let seconds: f64 = found.get("value")?.as_str()?.parse().ok()?;
    sensible(seconds)
}

/// The sum of all sleeps in a command line or program text; `None` if there are none.
fn slept_seconds(text: &str) -> Option<f64> {
    let mut total = None;
    let mut rest = text;
    while let Some(at) = rest.find("sleep") {
        rest = rest.get(at + "sleep".len()..).unwrap_or_default();
        let argument = rest.strip_prefix('(').unwrap_or_else(|| rest.trim_start());
        let end = argument.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(argument.len());
        let (digits, unit) = argument.split_at(end);
        let factor = match unit.chars().next() {
            Some('m') => 60.0,
            Some('h') => 3600.0,
            _ => 1.0,
        };
        if let Some(seconds) = digits.parse::<f64>().ok().and_then(|s| sensible(s * factor)) {
            total = Some(total.unwrap_or(0.0) + seconds);
        }
    }
    total
}

/// Within a year; anything else is a typing error that would overflow the clock.
fn sensible(seconds: f64) -> Option<f64> {
    (0.0..=31_536_000.0).contains(&seconds).then_some(seconds)
}

fn fails(words: &[String]) -> bool {
    let exits_badly = |text: &String| {
        text.split("exit ").skip(1).any(|rest| rest.trim_start().starts_with(|c: char| ('1'..='9').contains(&c)))
    };
    words.first().is_some_and(|w| w == "false") || words.iter().any(exits_badly)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(command: &[&str], args: &[&str]) -> (f64, bool) {
        let spec = json!({
            "root": {"dag": {"tasks": {"work": {"componentRef": {"name": "c"}, "inputs": {"parameters": {
                "seconds": {"runtimeValue": {"constant": 4}}}}}}}},
            "components": {"c": {"executorLabel": "e"}},
            "deploymentSpec": {"executors": {"e": {"container": {"image": "i", "command": command, "args": args}}}}});
        let template = WorkflowTemplate::new(&spec, &Map::new()).unwrap();
        match &template.nodes.last().unwrap().kind {
            NodeKind::Executor { seconds, fails, .. } => (*seconds, *fails),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn run_time_comes_from_the_command() {
        assert_eq!(container(&["sleep"], &["5"]), (5.0, false));
        assert_eq!(container(&["sh", "-c"], &["sleep 3; echo done; sleep 0.5"]), (3.5, false));
        assert_eq!(container(&["sh", "-c", "sleep 2m"], &[]), (120.0, false));
        assert_eq!(container(&["python3", "-c", "import time; time.sleep(1.5)"], &[]), (1.5, false));
        assert_eq!(container(&["sleep"], &["{{$.inputs.parameters['seconds']}}"]), (4.0, false));
        let (default, _) = container(&["echo"], &["done"]);
        assert!((0.5..2.0).contains(&default), "{default}");
        assert_eq!(container(&["echo"], &["done"]).0, default);
    }

    #[test]
    fn equal_work_has_equal_results_where_caching_is_on() {
        let results = |value: Value, enabled: bool| -> Vec<Option<u64>> {
            let options = json!({"enableCache": enabled});
            let spec = json!({"pipelineInfo": {"name": "p"},
                "root": {"dag": {"tasks": {
                    "first": {"componentRef": {"name": "c"}, "cachingOptions": options,
                        "inputs": {"parameters": {"x": {"runtimeValue": {"constant": value}}}}},
                    "second": {"componentRef": {"name": "c"}, "cachingOptions": options,
                        "inputs": {"parameters": {"x": {"taskOutputParameter":
                            {"producerTask": "first", "outputParameterKey": "o"}}}}}}}},
                "components": {"c": {"executorLabel": "e"}},
                "deploymentSpec": {"executors": {"e": {"container": {"image": "i"}}}}});
            let template = WorkflowTemplate::new(&spec, &Map::new()).unwrap();
            let result = |n: &TemplateNode| match n.kind {
                NodeKind::Executor { result, .. } => Some(result),
                _ => None,
            };
            template.nodes.iter().filter_map(result).collect()
        };
        let one = results(json!(1), true);
        assert_eq!(one, results(json!(1), true));
        assert_ne!(one[0], one[1]);
        let two = results(json!(2), true);
        assert!(one[0] != two[0] && one[1] != two[1], "what reads a changed output is changed as well");
        assert_eq!(results(json!(1), false), [None, None]);
    }

    #[test]
    fn failing_commands_are_seen() {
        assert!(container(&["false"], &[]).1);
        assert!(container(&["sh", "-c"], &["sleep 1; exit 3"]).1);
        assert!(!container(&["sh", "-c"], &["sleep 1; exit 0"]).1);
    }

    #[test]
    fn a_loop_has_a_body_per_item() {
        let spec = json!({
            "root": {"dag": {"tasks": {"each": {"componentRef": {"name": "c"},
                "parameterIterator": {"itemInput": "item", "items": {"raw": "[1, 2]"}}}}}},
            "components": {"c": {"dag": {"tasks": {"inner": {"componentRef": {"name": "d"}}}}}, "d": {"executorLabel": "e"}},
            "deploymentSpec": {"executors": {"e": {"container": {"image": "i"}}}}});
        let template = WorkflowTemplate::new(&spec, &Map::new()).unwrap();
        let names: Vec<&str> = template.nodes.iter().map(|n| &*n.name).collect();
        let iteration = ["iteration-driver", "iteration(0:0)", "inner-driver", "inner", "executor"];
        assert_eq!(names[..5], ["", "root-driver", "root", "each-driver", "each"]);
        assert_eq!(names[5..10], iteration);
        assert_eq!(names.len(), 15);
    }

    #[test]
    fn what_points_nowhere_is_refused() {
        let dangling = json!({"root": {"dag": {"tasks": {"a": {"componentRef": {"name": "gone"}}}}}});
        assert!(WorkflowTemplate::new(&dangling, &Map::new()).unwrap_err().to_string().contains("component gone"));
        let task = |after: &str| json!({"componentRef": {"name": "c"}, "dependentTasks": [after]});
        let cycle = json!({"root": {"dag": {"tasks": {"a": task("b"), "b": task("a")}}}, "components": {"c": {}}});
        assert!(WorkflowTemplate::new(&cycle, &Map::new()).unwrap_err().to_string().contains("cycle"));
        let selfish = json!({"root": {"dag": {"tasks": {"a": {"componentRef": {"name": "c"}}}}},
            "components": {"c": {"dag": {"tasks": {"a": {"componentRef": {"name": "c"}}}}}}});
        assert!(WorkflowTemplate::new(&selfish, &Map::new()).is_err());
    }
}
