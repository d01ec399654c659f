//! Mistakes in a specification that the server would only tell of when a run is created, or not at all.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    Spec,
    graph::{dependencies, in_order},
};

/// Keys that a specification may have at its top; with any other one the server does not recognise it.
const KEYS: [&str; 7] =
    ["pipelineInfo", "deploymentSpec", "schemaVersion", "sdkVersion", "components", "root", "defaultPipelineRoot"];

/// The only version of the schema that servers take.
const SCHEMA_VERSION: &str = "2.1.0";

impl Spec {
    /// Everything that is wrong, in the order of the file; empty if nothing is.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let Some(top) = self.ir.as_object() else { return vec!["the file holds no table".into()] };
        for key in top.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            problems.push(format!("`{key}` is no key of a specification: the server would not recognise the file"));
        }
        for key in ["pipelineInfo", "schemaVersion", "root"].into_iter().filter(|key| !top.contains_key(*key)) {
            problems.push(format!("there is no `{key}`: this is not a pipeline that KFP 2 has compiled"));
        }
        problems.extend(self.name_problem());
        if let Some(version) = top.get("schemaVersion").filter(|version| version.as_str() != Some(SCHEMA_VERSION)) {
            let version = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
            problems.push(format!("`schemaVersion` is {version}, servers take {SCHEMA_VERSION} only"));
        }
        if let Some(root) = top.get("root") {
            self.component(root, "root", &mut problems);
        }
        for (name, component) in self.components() {
            self.component(component, name, &mut problems);
        }
        problems.extend(self.recursion());
        problems
    }

    fn components(&self) -> impl Iterator<Item = (&str, &Value)> {
        let components = self.ir.get("components").and_then(Value::as_object);
        components.into_iter().flatten().map(|(name, component)| (name.as_str(), component))
    }

    fn name_problem(&self) -> Option<String> {
        self.ir.get("pipelineInfo")?;
        let name = self.name();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if name.is_empty() {
            return Some("`pipelineInfo.name` is missing".into());
        }
        if name.len() > 128 || !name.starts_with(plain) || !name.chars().all(|c| plain(c) || c == '-') {
            let rule = "use up to 128 lower-case letters, digits and `-`, and begin with a letter or digit";
            return Some(format!("the pipeline's name `{name}` is refused by servers: {rule}"));
        }
        None
    }

    fn component(&self, component: &Value, name: &str, problems: &mut Vec<String>) {
        if let Some(label) = component.get("executorLabel").and_then(Value::as_str) {
            let executors = self.ir.pointer("/deploymentSpec/executors");
            if executors.and_then(|executors| executors.get(label)).is_none() {
                problems.push(format!("the component `{name}` runs the executor `{label}`, which does not exist"));
            }
            return;
        }
        let Some(tasks) = component.pointer("/dag/tasks").and_then(Value::as_object) else {
            if component.get("dag").is_none() {
                problems.push(format!("the component `{name}` has neither tasks nor an executor"));
            }
            return;
        };
        self.tasks(tasks, name, problems);
    }

    fn tasks(&self, tasks: &Map<String, Value>, owner: &str, problems: &mut Vec<String>) {
        let before = problems.len();
        for (key, task) in tasks {
            match task.pointer("/componentRef/name").and_then(Value::as_str) {
                None => problems.push(format!("the task `{key}` of `{owner}` names no component")),
                Some(component) if !self.components().any(|(name, _)| name == component) => {
                    problems.push(format!("the task `{key}` of `{owner}` uses `{component}`, which does not exist"));
                }
                Some(_) => {}
            }
            for dependency in dependencies(task).into_iter().filter(|name| !tasks.contains_key(*name)) {
                problems.push(format!("the task `{key}` of `{owner}` waits for `{dependency}`, which does not exist"));
            }
        }
        // Only among tasks that all exist does a missing order mean a cycle.
        if problems.len() == before
            && let Err(cycle) = in_order(tasks)
        {
            problems.push(format!("tasks of `{owner}` wait for each other: {}", cycle.join(", ")));
        }
    }

    /// A component that holds itself, at whatever depth.
    fn recursion(&self) -> Option<String> {
        let uses = |name: &str| -> BTreeSet<&str> {
            let component = self.ir.get("components").and_then(|components| components.get(name));
            let tasks = component.and_then(|it| it.pointer("/dag/tasks")).and_then(Value::as_object);
            let names =
                tasks.into_iter().flatten().filter_map(|(_, task)| task.pointer("/componentRef/name")?.as_str());
            names.collect()
        };
        for (name, _) in self.components() {
            let mut reached = uses(name);
            let mut open: Vec<&str> = reached.iter().copied().collect();
            while let Some(next) = open.pop() {
                open.extend(uses(next).into_iter().filter(|it| reached.insert(it)));
            }
            if reached.contains(name) {
                return Some(format!("the component `{name}` contains itself"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SMALL, spec};

    fn problem(from: &str, to: &str) -> String {
        assert!(SMALL.contains(from), "{from}");
        spec(&SMALL.replacen(from, to, 1)).problems().join("; ")
    }

    #[test]
    fn a_good_specification_has_no_problems() {
        assert_eq!(spec(SMALL).problems(), Vec::<String>::new());
    }

    #[test]
    fn what_points_nowhere_is_found() {
        assert!(problem("{name: comp-nested}", "{name: gone}").contains("uses `gone`"));
        assert!(problem("{executorLabel: exec-step}", "{executorLabel: gone}").contains("executor `gone`"));
        assert!(problem("[prepare]", "[gone]").contains("waits for `gone`"));
        assert!(problem("producerTask: prepare", "producerTask: gone").contains("waits for `gone`"));
    }

    #[test]
    fn circles_are_found() {
        let text = problem("cachingOptions: {enableCache: true}", "dependentTasks: [work]");
        assert!(
            text.contains("wait for each other: prepare, work") || text.contains("nested, prepare, work"),
            "{text}"
        );
        let inner = "inner: {taskInfo: {name: inner}, componentRef: {name: comp-step}}";
        assert!(problem(inner, "inner: {componentRef: {name: comp-nested}}").contains("`comp-nested` contains itself"));
    }

    #[test]
    fn what_the_server_refuses_is_found() {
        assert!(problem("schemaVersion: 2.1.0", "schemaVersion: 2.0.0").contains("2.0.0, servers take 2.1.0"));
        assert!(problem("{name: small}", "{name: Small}").contains("`Small` is refused"));
        assert!(problem("{name: small}", "{}").contains("missing"));
        assert!(problem("schemaVersion", "extra: 1\nschemaVersion").contains("`extra`"));
        assert!(problem("root:", "defaultPipelineRoot:").contains("no `root`"));
    }
}
