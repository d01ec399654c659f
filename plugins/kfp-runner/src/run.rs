//! A run as the server describes it, and what its times tell.

use serde::Deserialize;

use crate::timestamp::Timestamp;

/// The fields of a run that matter here. Fields at their zero value are absent from the server's JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Run {
    pub run_id: String,
    pub state: String,
    pub created_at: Timestamp,
    pub finished_at: Timestamp,
    pub run_details: Details,
    pub state_history: Vec<Change>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Details {
    pub task_details: Vec<Task>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Task {
    pub display_name: String,
    pub start_time: Timestamp,
    pub end_time: Timestamp,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Change {
    pub update_time: Timestamp,
    pub state: String,
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

    /// Seconds from creation to the end, by the server's clocks, to the second.
    pub fn duration(&self) -> Option<f64> {
        self.finished_at.since(self.created_at)
    }

    /// Seconds until the workflow controller picked the run up: the start of the earliest task, or else the first report
    /// that the run is running.
    pub fn queue_wait(&self) -> Option<f64> {
        let started = self.run_details.task_details.iter().filter_map(|task| task.start_time.0).reduce(f64::min);
        let running =
            || self.state_history.iter().find(|change| change.state == "RUNNING").and_then(|c| c.update_time.0);
        Timestamp(started.or_else(running)).since(self.created_at)
    }

    /// The components of the pipeline with the seconds that each took, scheduling and image pull included.
    ///
    /// The list of tasks is flat. A component `T` is the task that has a companion `T-driver`; the pipeline itself is
    /// the one called `root`.
    pub fn components(&self) -> impl Iterator<Item = (&str, f64)> {
        let tasks = &self.run_details.task_details;
        tasks.iter().filter_map(move |task| {
            let name = task.display_name.as_str();
            let is_driver_of = |other: &Task| other.display_name.strip_suffix("-driver") == Some(name);
            if name == "root" || !tasks.iter().any(is_driver_of) {
                return None;
            }
            Some((name, task.end_time.since(task.start_time)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINISHED: &str = r#"{"run_id":"R","state":"SUCCEEDED","created_at":"2026-11-22T10:00:00Z",
        "finished_at":"2026-11-22T10:00:41Z","run_details":{"task_details":[
        {"display_name":"flow-x","start_time":"2026-11-22T10:00:02Z","end_time":"2026-11-22T10:00:41Z","state":"SUCCEEDED"},
        {"display_name":"root-driver","start_time":"2026-11-22T10:00:02Z","end_time":"2026-11-22T10:00:11Z"},
        {"display_name":"root","start_time":"2026-11-22T10:00:12Z","end_time":"2026-11-22T10:00:41Z"},
        {"display_name":"work-driver","start_time":"2026-11-22T10:00:12Z","end_time":"2026-11-22T10:00:21Z"},
        {"display_name":"work","start_time":"2026-11-22T10:00:22Z","end_time":"2026-11-22T10:00:41Z"},
        {"display_name":"executor","start_time":"2026-11-22T10:00:22Z","end_time":"2026-11-22T10:00:41Z"}]}}"#;

    #[test]
    fn a_finished_run_tells_its_times() {
        let run: Run = serde_json::from_str(FINISHED).unwrap();
        assert!(run.has_ended() && run.has_succeeded());
        assert_eq!((run.duration(), run.queue_wait()), (Some(41.0), Some(2.0)));
        assert_eq!(run.components().collect::<Vec<_>>(), [("work", 19.0)]);
    }

    #[test]
    fn a_fresh_run_tells_none() {
        let text = r#"{"run_id":"R","created_at":"2026-11-22T10:00:00Z","finished_at":"1970-01-01T00:00:00Z"}"#;
        let run: Run = serde_json::from_str(text).unwrap();
        assert!(!run.has_ended());
        assert_eq!((run.duration(), run.queue_wait()), (None, None));
    }

    #[test]
    fn without_tasks_the_history_tells_the_wait() {
        let text = r#"{"created_at":"2026-11-22T10:00:00Z","state_history":[
            {"update_time":"2026-11-22T10:00:00Z","state":"PENDING"},{"update_time":"2026-11-22T10:00:03Z","state":"RUNNING"}]}"#;
        assert_eq!(serde_json::from_str::<Run>(text).unwrap().queue_wait(), Some(3.0));
    }
}
