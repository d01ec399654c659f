//! What `/metrics` shows, under the real server's names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::operation::Operation;

/// Upper bounds of the handling time's buckets, in seconds.
const BOUNDS: [f64; 13] = [0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0];

/// The counters that the server has from its start on.
const COUNTERS: &[&str] = &[
    "experiment_server_archive_requests",
    "experiment_server_create_requests",
    "experiment_server_delete_requests",
    "experiment_server_get_requests",
    "experiment_server_list_requests",
    "experiment_server_unarchive_requests",
    "job_server_create_requests",
    "job_server_delete_requests",
    "job_server_disable_requests",
    "job_server_enable_requests",
    "job_server_get_requests",
    "job_server_list_requests",
    "pipeline_server_create_requests",
    "pipeline_server_create_version_requests",
    "pipeline_server_delete_requests",
    "pipeline_server_delete_version_requests",
    "pipeline_server_get_requests",
    "pipeline_server_get_version_requests",
    "pipeline_server_list_requests",
    "pipeline_server_list_version_requests",
    "pipeline_server_update_default_version_requests",
    "pipeline_server_update_requests",
    "pipeline_server_update_version_requests",
    "pipeline_upload_requests",
    "pipeline_version_upload_requests",
    "resource_manager_workflow_gc",
    "run_server_archive_requests",
    "run_server_create_requests",
    "run_server_delete_requests",
    "run_server_get_requests",
    "run_server_list_requests",
    "run_server_read_artifact_requests",
    "run_server_report_metrics_requests",
    "run_server_retry_requests",
    "run_server_terminate_requests",
    "run_server_unarchive_requests",
];

/// Service, method and code of a series.
type SeriesKey = (&'static str, &'static str, &'static str);

#[derive(Debug, Default)]
struct HandlingTimes {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

/// A final state that was reported: namespace, workflow, and whether it is a success.
pub(crate) type FinishedWorkflow<'a> = (&'a str, &'a str, bool);

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    calls: BTreeMap<SeriesKey, HandlingTimes>,
    requests: BTreeMap<&'static str, u64>,
    /// Change of the number of runs since the start.
    pub(crate) runs: i64,
    /// Change of the number of pipelines since the start.
    pub(crate) pipelines: i64,
    /// Change of the number of versions since the start.
    pub(crate) versions: i64,
    /// Change of the number of experiments since the start.
    pub(crate) experiments: i64,
    /// Change of the number of recurring runs since the start.
    pub(crate) jobs: i64,
    /// From the instant that a run of a recurring run stands for to its first report, in seconds.
    gaps: [u64; 10],
    gap_count: u64,
    gap_seconds: f64,
}

impl Telemetry {
    /// Counts a request under the server's own counter, where it has one.
    pub(crate) fn request(&mut self, operation: Operation) {
        if let Some(counter) = operation.counter() {
            *self.requests.entry(counter).or_default() += 1;
        }
    }

    /// Counts a call that the gateway passed on.
    pub(crate) fn handled(&mut self, operation: Operation, code: &'static str, took: Duration) {
        let (service, method) = operation.rpc();
        let handled = self.calls.entry((service, method, code)).or_default();
        let seconds = took.as_secs_f64();
        for (bucket, bound) in handled.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        handled.count += 1;
        handled.seconds += seconds;
    }

    /// The Prometheus text form. `finished` are the workflows that ended since the start at `began` (in seconds).
    pub(crate) fn text<'a>(&self, began: f64, finished: impl Iterator<Item = FinishedWorkflow<'a>>) -> String {
        let mut out = String::new();
        let started = format!("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {began:.2}\n");
        out.push_str(&started);
        self.write(&mut out).and_then(|()| write_finished(&mut out, finished)).unwrap_or_default();
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        for name in COUNTERS {
            let count = self.requests.get(name).copied().unwrap_or_default();
            writeln!(out, "# TYPE {name} counter\n{name} {count}")?;
        }
        self.write_gaps(out)?;
        let gauges = [
            ("run_server_run_count", self.runs),
            ("pipeline_server_pipeline_count", self.pipelines),
            ("pipeline_server_pipeline_version_count", self.versions),
            // Its name says runs; it counts experiments.
            ("experiment_server_run_count", self.experiments),
            ("job_server_job_count", self.jobs),
        ];
        for (name, value) in gauges {
            writeln!(out, "# TYPE {name} gauge\n{name} {value}")?;
        }
        let once = ["grpc_server_started_total", "grpc_server_msg_received_total", "grpc_server_msg_sent_total"];
        for name in once.into_iter().chain(["grpc_server_handled_total"]) {
            writeln!(out, "# TYPE {name} counter")?;
            if name != "grpc_server_handled_total" {
                let mut started: BTreeMap<(&str, &str), u64> = BTreeMap::new();
                // A unary call receives one message, and sends one if it succeeds.
                let counts = |code: &str| name != "grpc_server_msg_sent_total" || code == "OK";
                for ((service, method, _), handled) in self.calls.iter().filter(|((_, _, code), _)| counts(code)) {
                    *started.entry((service, method)).or_default() += handled.count;
                }
                for ((service, method), count) in started {
                    writeln!(out, "{name}{{{}}} {count}", labels(service, method))?;
                }
                continue;
            }
            for ((service, method, code), handled) in &self.calls {
                writeln!(out, "{name}{{grpc_code=\"{code}\",{}}} {}", labels(service, method), handled.count)?;
            }
        }
        let name = "grpc_server_handling_seconds";
        writeln!(out, "# TYPE {name} histogram")?;
        let mut merged: BTreeMap<(&str, &str), HandlingTimes> = BTreeMap::new();
        for ((service, method, _), handled) in &self.calls {
            let all = merged.entry((service, method)).or_default();
            all.buckets.iter_mut().zip(handled.buckets).for_each(|(sum, part)| *sum += part);
            all.count += handled.count;
            all.seconds += handled.seconds;
        }
        for ((service, method), handled) in merged {
            let labels = labels(service, method);
            for (count, bound) in handled.buckets.iter().zip(BOUNDS) {
                writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
            }
            writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", handled.count)?;
            writeln!(out, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {}", handled.seconds, handled.count)?;
        }
        Ok(())
    }
}

/// One series per workflow, as the real server has it.
fn write_finished<'a>(out: &mut String, finished: impl Iterator<Item = FinishedWorkflow<'a>>) -> std::fmt::Result {
    let (good, bad): (Vec<_>, Vec<_>) = finished.partition(|(_, _, is_success)| *is_success);
    for (name, series) in [("success", good), ("failed", bad)] {
        if !series.is_empty() {
            writeln!(out, "# TYPE resource_manager_workflow_runs_{name} gauge")?;
        }
        for (namespace, workflow, _) in series {
            let labels = format!("profile=\"{namespace}\",workflow=\"{workflow}\"");
            writeln!(out, "resource_manager_workflow_runs_{name}{{{labels}}} 1")?;
        }
    }
    Ok(())
}

impl Telemetry {
    fn write_gaps(&self, out: &mut String) -> std::fmt::Result {
        let name = "resource_manager_recurring_run_report_gap";
        writeln!(out, "# TYPE {name} histogram")?;
        for (count, bound) in self.gaps.iter().zip(gap_bounds()) {
            writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {count}")?;
        }
        writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {}", self.gap_count)?;
        writeln!(out, "{name}_sum {}\n{name}_count {}", self.gap_seconds, self.gap_count)
    }

    /// Counts the first report of a recurring run's run, so many seconds after the instant that it stands for.
    pub(crate) fn report_gap(&mut self, seconds: f64) {
        for (count, bound) in self.gaps.iter_mut().zip(gap_bounds()) {
            *count += u64::from(seconds <= bound);
        }
        self.gap_count += 1;
        self.gap_seconds += seconds;
    }
}

fn gap_bounds() -> impl Iterator<Item = f64> {
    (0..10).map(|k| 0.5 * f64::from(1 << k))
}

fn labels(service: &str, method: &str) -> String {
    format!(
        "grpc_method=\"{method}\",grpc_service=\"kubeflow.pipelines.backend.api.v2beta1.{service}\",grpc_type=\"unary\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operations_counter_is_shown() {
        for counter in Operation::ALL.iter().filter_map(|operation| operation.counter()) {
            assert!(COUNTERS.contains(&counter), "{counter}");
        }
    }

    #[test]
    fn buckets_are_cumulative_and_codes_add_up() {
        let mut telemetry = Telemetry::default();
        telemetry.request(Operation::GetRun);
        telemetry.handled(Operation::GetRun, "OK", Duration::from_millis(20));
        telemetry.handled(Operation::GetRun, "NotFound", Duration::from_millis(1));
        let text = telemetry.text(1.5, [("kubeflow", "wf-1", true)].into_iter());
        let labels = labels("RunService", "GetRun");
        for line in [
            "run_server_get_requests 1".to_owned(),
            "run_server_list_requests 0".to_owned(),
            "process_start_time_seconds 1.50".to_owned(),
            "resource_manager_workflow_runs_success{profile=\"kubeflow\",workflow=\"wf-1\"} 1".to_owned(),
            format!("grpc_server_msg_sent_total{{{labels}}} 1"),
            format!("grpc_server_started_total{{{labels}}} 2"),
            format!("grpc_server_handled_total{{grpc_code=\"OK\",{labels}}} 1"),
            format!("grpc_server_handling_seconds_bucket{{{labels},le=\"0.01\"}} 1"),
            format!("grpc_server_handling_seconds_bucket{{{labels},le=\"0.03\"}} 2"),
            format!("grpc_server_handling_seconds_count{{{labels}}} 2"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
    }
}
