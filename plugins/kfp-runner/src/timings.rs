//! What a run that has ended tells about where its time went. All by the server's clocks, to the second.

use std::collections::BTreeMap;

use crate::{
    run::{Run, Task, TaskKind},
    spec::Graph,
};

/// The times of a run in seconds; none where the server does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timings {
    /// From creation to end.
    pub end_to_end: Option<f64>,
    /// From creation to the controller's picking it up.
    pub queue_wait: Option<f64>,
    /// The components on the critical path, added up.
    pub critical_path: Option<f64>,
    /// Everything else: what Kubeflow Pipelines and Argo add. `end_to_end - critical_path`.
    pub overhead: Option<f64>,
    /// All drivers, added up.
    pub drivers: Option<f64>,
    /// Each component.
    pub components: Vec<Component>,
    /// How long each pod waited, where reports caught that; a driver's or an executor's.
    pub pending: Vec<(TaskKind, f64)>,
    /// How long the run was in each state but the last, as reports saw it.
    pub states: Vec<(String, f64)>,
    /// The component that failed first, if one did.
    pub failed: Option<String>,
}

/// The times of a component in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Component {
    /// Its name in the pipeline.
    pub name: String,
    /// From its pod's creation to its end, scheduling and image pull included; none if it was skipped.
    pub duration: Option<f64>,
    /// The time of its driver.
    pub driver: Option<f64>,
    /// From its driver's end to its start.
    pub handover: Option<f64>,
}

impl Timings {
    /// The times of a run of a pipeline.
    pub fn of(run: &Run, graph: &Graph) -> Self {
        let kinds = run.kinds();
        let of_kind = |wanted: TaskKind| run.tasks().iter().zip(&kinds).filter(move |(_, kind)| **kind == wanted);
        let drivers: BTreeMap<&str, &Task> =
            of_kind(TaskKind::Driver).filter_map(|(task, _)| Some((task.driver_of()?, task))).collect();
        let mut components = Vec::new();
        let mut failed: Option<&Task> = None;
        for (task, _) in of_kind(TaskKind::Component) {
            let driver = drivers.get(task.display_name.as_str());
            components.push(Component {
                name: task.display_name.clone(),
                duration: task.seconds(),
                driver: driver.and_then(|driver| driver.seconds()),
                handover: driver.and_then(|driver| task.start_time.since(driver.end_time)),
            });
            let earlier = failed.is_none_or(|other| task.end_time.0 < other.end_time.0);
            if matches!(task.state.as_str(), "FAILED" | "ERROR") && earlier {
                failed = Some(task);
            }
        }
        let end_to_end = run.finished_at.since(run.created_at);
        let critical_path = critical_path(graph, &components);
        let driver_seconds: Vec<f64> = of_kind(TaskKind::Driver).filter_map(|(task, _)| task.seconds()).collect();
        Self {
            end_to_end,
            queue_wait: run.started_at().since(run.created_at),
            critical_path,
            overhead: end_to_end.zip(critical_path).map(|(all, path)| (all - path).max(0.0)),
            drivers: (!driver_seconds.is_empty()).then(|| driver_seconds.iter().sum()),
            pending: run.tasks().iter().zip(&kinds).filter_map(pending).collect(),
            states: states(run),
            failed: failed.map(|task| task.display_name.clone()),
            components,
        }
    }
}

fn pending((task, kind): (&Task, &TaskKind)) -> Option<(TaskKind, f64)> {
    let has_pod = matches!(kind, TaskKind::Driver | TaskKind::Executor);
    Some((*kind, task.pending().filter(|_| has_pod)?))
}

/// The seconds of the components on the critical path; none if the pipeline is not known, or none of its components ran.
fn critical_path(graph: &Graph, components: &[Component]) -> Option<f64> {
    let known: BTreeMap<&str, f64> =
        components.iter().filter_map(|component| Some((component.name.as_str(), component.duration?))).collect();
    if graph.is_empty() || known.is_empty() {
        return None;
    }
    let path = graph.critical_path(|name| known.get(name).copied());
    Some(path.into_iter().filter_map(|name| known.get(name)).sum())
}

fn states(run: &Run) -> Vec<(String, f64)> {
    let later = run.state_history.iter().skip(1);
    let pairs = run.state_history.iter().zip(later);
    let spent = |(from, to): (&crate::run::Change, &crate::run::Change)| {
        let state = if from.state.is_empty() { "unspecified" } else { &from.state };
        Some((state.to_ascii_lowercase(), to.update_time.since(from.update_time)?))
    };
    pairs.filter_map(spent).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        run::tests::{FINISHED, run},
        spec::{Content, Graph},
    };

    /// `prepare` before `work`.
    pub fn graph() -> Graph {
        let text = "pipelineInfo: {name: p}\nroot: {dag: {tasks: {prepare: {}, work: {dependentTasks: [prepare]}}}}";
        match Content::read(text.as_bytes()) {
            Ok(Content::Spec(spec)) => spec.graph(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_finished_run_tells_its_times() {
        let timings = Timings::of(&run(FINISHED), &graph());
        assert_eq!((timings.end_to_end, timings.queue_wait), (Some(51.0), Some(2.0)));
        assert_eq!((timings.critical_path, timings.overhead), (Some(22.0), Some(29.0)));
        assert_eq!(timings.drivers, Some(21.0));
        assert_eq!(timings.pending, [(TaskKind::Executor, 4.0)]);
        assert_eq!(timings.states, [("pending".to_owned(), 4.0), ("running".to_owned(), 48.0)]);
        let work = timings.components.iter().find(|component| component.name == "work").unwrap();
        assert_eq!((work.duration, work.driver, work.handover), (Some(15.0), Some(3.0), Some(2.0)));
        assert_eq!(timings.failed, None);
    }

    #[test]
    fn components_side_by_side_count_once() {
        let graph = match Content::read(b"pipelineInfo: {name: p}\nroot: {dag: {tasks: {prepare: {}, work: {}}}}") {
            Ok(Content::Spec(spec)) => spec.graph(),
            other => panic!("{other:?}"),
        };
        assert_eq!(Timings::of(&run(FINISHED), &graph).critical_path, Some(15.0));
    }

    #[test]
    fn an_unknown_pipeline_has_no_critical_path() {
        let timings = Timings::of(&run(FINISHED), &Graph::default());
        assert_eq!((timings.critical_path, timings.overhead), (None, None));
    }

    #[test]
    fn the_component_that_failed_is_named() {
        let failed = FINISHED
            .replace(r#""display_name":"work","start_time""#, r#""display_name":"work","state":"FAILED","start_time""#);
        assert_eq!(Timings::of(&run(&failed), &graph()).failed.as_deref(), Some("work"));
    }
}
