//! A run as the server describes it.

use serde::Deserialize;

use crate::timestamp::Timestamp;

/// The fields of a run that matter here. Fields at their zero value are absent from the server's JSON.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Run {
    pub run_id: String,
    pub display_name: String,
    pub experiment_id: String,
    pub recurring_run_id: String,
    pub state: String,
    pub created_at: Timestamp,
    pub scheduled_at: Timestamp,
    pub finished_at: Timestamp,
    pub run_details: Details,
    pub state_history: Vec<Change>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Details {
    pub task_details: Vec<Task>,
}

/// A node of the run's workflow. The list of them is flat, and says neither whose child each one is nor its order.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Task {
    pub display_name: String,
    pub state: String,
    pub start_time: Timestamp,
    pub end_time: Timestamp,
    pub state_history: Vec<Change>,
}

/// A change of state, as of the report that brought it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Change {
    pub update_time: Timestamp,
    pub state: String,
}

/// What a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// The run's own entry, named like its workflow.
    Workflow,
    /// Works out what a task gets and whether it has to run.
    Driver,
    /// A task of the pipeline, from its pod's creation (scheduling and image pull included) to its end.
    Component,
    /// The pod of a component.
    Executor,
    /// The pipeline's DAG.
    Root,
    /// Iterations of loops, and what else has no companion.
    Other,
}

impl TaskKind {
    /// The value of the column `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Driver => "driver",
            Self::Component => "component",
            Self::Executor => "executor",
            Self::Root => "root",
            Self::Other => "other",
        }
    }
}

impl Task {
    /// Seconds from its start to its end, if it has ended.
    pub fn seconds(&self) -> Option<f64> {
        self.end_time.since(self.start_time)
    }

    /// The component whose driver it is.
    pub fn driver_of(&self) -> Option<&str> {
        self.display_name.strip_suffix("-driver")
    }

    /// Seconds in which its pod waited, as far as the reports caught that.
    pub fn pending(&self) -> Option<f64> {
        let at = |state: &str| self.state_history.iter().find(|change| change.state == state).map(|it| it.update_time);
        at("RUNNING")?.since(at("PENDING")?)
    }
}

impl Run {
    /// Whether the run has reached a state that it never leaves by itself.
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "SUCCEEDED" | "FAILED" | "SKIPPED" | "CANCELED")
    }

    /// Whether the run has ended well.
    pub fn has_succeeded(&self) -> bool {
        matches!(self.state.as_str(), "SUCCEEDED" | "SKIPPED")
    }

    /// How it ended, in a word for a metric's tag.
    pub fn reason(&self) -> &'static str {
        match self.state.as_str() {
            "SUCCEEDED" => "succeeded",
            "SKIPPED" => "skipped",
            "FAILED" => "failed",
            "CANCELED" => "canceled",
            _ => "unknown",
        }
    }

    pub fn tasks(&self) -> &[Task] {
        &self.run_details.task_details
    }

    /// When the workflow controller picked the run up: the start of its earliest task, or else the first report that the
    /// run is running.
    pub fn started_at(&self) -> Timestamp {
        let started = self.tasks().iter().filter_map(|task| task.start_time.0).min();
        let running = || self.state_history.iter().find(|change| change.state == "RUNNING")?.update_time.0;
        Timestamp(started.or_else(running))
    }

    /// What each of its tasks is. A component `T` is the task that has a companion `T-driver`; the pipeline itself is the
    /// one called `root`.
    pub fn kinds(&self) -> Vec<TaskKind> {
        let drivers: std::collections::BTreeSet<&str> = self.tasks().iter().filter_map(Task::driver_of).collect();
        let mut kinds: Vec<TaskKind> = self.tasks().iter().map(|task| kind(&task.display_name, &drivers)).collect();
        // Of what has no companion, the run's own entry is the one that began first.
        let others = kinds.iter().zip(self.tasks()).enumerate().filter(|(_, (kind, _))| **kind == TaskKind::Other);
        // What has not begun comes last.
        let start = |task: &Task| (task.start_time.0.is_none(), task.start_time.0);
        let name_is_loops = |task: &Task| task.display_name.starts_with("iteration");
        let entry = others
            .filter(|(_, (_, task))| !name_is_loops(task))
            .min_by(|a, b| start(a.1.1).cmp(&start(b.1.1)))
            .map(|(at, _)| at);
        if let Some(kind) = entry.and_then(|at| kinds.get_mut(at)) {
            *kind = TaskKind::Workflow;
        }
        kinds
    }
}

fn kind(name: &str, drivers: &std::collections::BTreeSet<&str>) -> TaskKind {
    match name {
        "root" => TaskKind::Root,
        "executor" => TaskKind::Executor,
        _ if drivers.contains(name) => TaskKind::Component,
        _ if name.ends_with("-driver") => TaskKind::Driver,
        _ => TaskKind::Other,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run of two components, `prepare` before `work`.
    pub const FINISHED: &str = r#"{"run_id":"R","display_name":"n","state":"SUCCEEDED","created_at":"2026-11-22T10:00:00Z",
        "scheduled_at":"2026-11-22T10:00:00Z","finished_at":"2026-11-22T10:00:51Z",
        "state_history":[{"update_time":"2026-11-22T10:00:00Z","state":"PENDING"},
        {"update_time":"2026-11-22T10:00:04Z","state":"RUNNING"},{"update_time":"2026-11-22T10:00:52Z","state":"SUCCEEDED"}],
        "run_details":{"task_details":[
        {"display_name":"work-driver","start_time":"2026-11-22T10:00:30Z","end_time":"2026-11-22T10:00:33Z","state":"SUCCEEDED"},
        {"display_name":"flow-x","start_time":"2026-11-22T10:00:02Z","end_time":"2026-11-22T10:00:51Z","state":"SUCCEEDED"},
        {"display_name":"root-driver","start_time":"2026-11-22T10:00:02Z","end_time":"2026-11-22T10:00:11Z"},
        {"display_name":"root","start_time":"2026-11-22T10:00:12Z","end_time":"2026-11-22T10:00:51Z"},
        {"display_name":"prepare-driver","start_time":"2026-11-22T10:00:12Z","end_time":"2026-11-22T10:00:21Z"},
        {"display_name":"prepare","start_time":"2026-11-22T10:00:22Z","end_time":"2026-11-22T10:00:29Z"},
        {"display_name":"work","start_time":"2026-11-22T10:00:35Z","end_time":"2026-11-22T10:00:50Z"},
        {"display_name":"executor","start_time":"2026-11-22T10:00:35Z","end_time":"2026-11-22T10:00:50Z","state_history":[
        {"update_time":"2026-11-22T10:00:36Z","state":"PENDING"},{"update_time":"2026-11-22T10:00:40Z","state":"RUNNING"}]}]}}"#;

    pub fn run(text: &str) -> Run {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn tasks_are_told_apart() {
        let run = run(FINISHED);
        assert!(run.has_ended() && run.has_succeeded());
        let kinds = run.kinds();
        let of = |name: &str| kinds[run.tasks().iter().position(|task| task.display_name == name).unwrap()];
        assert_eq!(of("flow-x"), TaskKind::Workflow);
        assert_eq!((of("root"), of("root-driver")), (TaskKind::Root, TaskKind::Driver));
        assert_eq!(
            (of("work"), of("work-driver"), of("executor")),
            (TaskKind::Component, TaskKind::Driver, TaskKind::Executor)
        );
        assert_eq!(run.started_at().since(run.created_at), Some(2.0));
        assert_eq!(run.tasks().last().unwrap().pending(), Some(4.0));
    }

    #[test]
    fn a_fresh_run_tells_nothing() {
        let run = run(r#"{"run_id":"R","created_at":"2026-11-22T10:00:00Z","finished_at":"1970-01-01T00:00:00Z"}"#);
        assert!(!run.has_ended());
        assert_eq!((run.finished_at.0, run.started_at().0), (None, None));
    }

    #[test]
    fn without_tasks_the_history_tells_the_start() {
        let run = run(r#"{"created_at":"2026-11-22T10:00:00Z","state_history":[
            {"update_time":"2026-11-22T10:00:00Z","state":"PENDING"},{"update_time":"2026-11-22T10:00:03Z","state":"RUNNING"}]}"#);
        assert_eq!(run.started_at().since(run.created_at), Some(3.0));
    }
}
