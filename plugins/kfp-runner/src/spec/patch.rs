//! Changes to a specification before it is uploaded.

use kperf_plugin_sdk::Failure;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Spec, problem, quantity};

/// What every container asks for and is limited to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Cores, as Kubernetes writes them: `500m`, `2`.
    pub cpu: Option<String>,
    /// Memory, as Kubernetes writes it: `4Gi`.
    pub memory: Option<String>,
}

impl Resources {
    /// Cores, and memory in gigabytes (10⁹ bytes), which is the specification's unit.
    ///
    /// # Errors
    /// A failure of the kind `pipeline` if a quantity is none.
    pub fn amounts(&self) -> Result<(Option<f64>, Option<f64>), Failure> {
        let amount = |name: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => quantity::parse(text).map(Some).ok_or_else(|| {
                let help = "write it as Kubernetes does, \"500m\" or \"4Gi\"";
                problem(format!("`resources.{name} = \"{text}\"` is no amount: {help}"))
            }),
        };
        let memory = amount("memory", &self.memory)?.map(|bytes| bytes / 1e9);
        Ok((amount("cpu", &self.cpu)?, memory))
    }
}

impl Spec {
    /// Gives every container these resources, as requests and as limits.
    ///
    /// The numeric fields are used and not the newer texts: every 2.x server knows them.
    ///
    /// # Errors
    /// A failure of the kind `pipeline` if a quantity is none.
    pub fn limit(&mut self, resources: &Resources) -> Result<(), Failure> {
        let (cpu, memory) = resources.amounts()?;
        let executors = self.ir.pointer_mut("/deploymentSpec/executors").and_then(Value::as_object_mut);
        for (_, executor) in executors.into_iter().flatten() {
            let Some(container) = executor.get_mut("container").and_then(Value::as_object_mut) else { continue };
            let wanted = container.entry("resources").or_insert_with(|| json!({}));
            let Some(wanted) = wanted.as_object_mut() else { continue };
            for (amount, number, text) in [(cpu, "cpu", "Cpu"), (memory, "memory", "Memory")] {
                let Some(amount) = amount else { continue };
                for kind in ["Request", "Limit"] {
                    wanted.insert(format!("{number}{kind}"), json!(amount));
                    // A text would take precedence over the number.
                    wanted.remove(&format!("resource{text}{kind}"));
                }
            }
        }
        Ok(())
    }

    /// Switches caching off for every task, so that each run does its work.
    pub fn disable_caching(&mut self) {
        let mut dags: Vec<&mut Value> = Vec::new();
        if let Some(top) = self.ir.as_object_mut() {
            for (key, value) in top {
                match key.as_str() {
                    "root" => dags.push(value),
                    "components" => dags.extend(value.as_object_mut().into_iter().flatten().map(|(_, it)| it)),
                    _ => {}
                }
            }
        }
        for dag in dags {
            let tasks = dag.pointer_mut("/dag/tasks").and_then(Value::as_object_mut);
            for (_, task) in tasks.into_iter().flatten() {
                if let Some(task) = task.as_object_mut() {
                    task.insert("cachingOptions".into(), json!({}));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SMALL, spec};
    use super::*;

    #[test]
    fn every_container_is_limited() {
        let mut spec = spec(SMALL);
        let resources = Resources { cpu: Some("500m".into()), memory: Some("4Gi".into()) };
        spec.limit(&resources).unwrap();
        let patched = &spec.ir["deploymentSpec"]["executors"]["exec-step"]["container"]["resources"];
        assert_eq!(patched["cpuRequest"], 0.5);
        assert_eq!(patched["cpuLimit"], 0.5);
        assert_eq!(patched["memoryLimit"], 4.294_967_296);
        assert_eq!(spec.problems(), Vec::<String>::new());
        assert!(
            spec.limit(&Resources { cpu: Some("lots".into()), memory: None })
                .unwrap_err()
                .message
                .contains("`resources.cpu")
        );
    }

    #[test]
    fn no_task_is_cached_any_more() {
        let mut spec = spec(SMALL);
        spec.disable_caching();
        assert_eq!(spec.ir["root"]["dag"]["tasks"]["prepare"]["cachingOptions"], json!({}));
        assert_eq!(spec.ir["components"]["comp-nested"]["dag"]["tasks"]["inner"]["cachingOptions"], json!({}));
    }
}
