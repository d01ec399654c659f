//! What the plugin says of itself: its modes with their parameters, its metrics, its tables.

use kperf_plugin_sdk::{Description, MetricKind, Unit};

use crate::{
    modes::{Mode, large_dataset, scheduled_runs},
    run_report,
};

/// Modes with their parameters, metrics and tables.
pub fn description() -> Description {
    let description = Description::new(
        "kfp-runner",
        env!("CARGO_PKG_VERSION"),
        "Makes load on Kubeflow Pipelines and says where the time goes",
    );
    Mode::describe(description)
        .table(run_report::runs_table())
        .table(run_report::tasks_table())
        .table(scheduled_runs::table())
        .table(large_dataset::table())
        .metrics(METRICS)
}

const COUNTER: MetricKind = MetricKind::Counter;
const GAUGE: MetricKind = MetricKind::Gauge;
const RATE: MetricKind = MetricKind::Rate;
const DISTRIBUTION: MetricKind = MetricKind::Distribution;

/// Server times are whole seconds, which each text that says "to the second" means.
const METRICS: &[(&str, MetricKind, Unit, &str)] = &[
    ("kfp_run_success", RATE, Unit::None, "Whether runs that were waited for ended well, in time"),
    ("kfp_run_failure", RATE, Unit::None, "Whether they ended badly"),
    ("kfp_run_timeout", RATE, Unit::None, "Whether they had not ended within `timeout`"),
    (
        "kfp_runs_ended",
        COUNTER,
        Unit::None,
        "Runs by how they ended; tags `reason`, and `component` for the one that failed",
    ),
    (
        "kfp_submit_duration",
        DISTRIBUTION,
        Unit::Seconds,
        "From the submission of a run to the server's answer; our clock",
    ),
    (
        "kfp_run_completion",
        DISTRIBUTION,
        Unit::Seconds,
        "From the submission to the end as a client sees it; our clock",
    ),
    (
        "kfp_run_duration",
        DISTRIBUTION,
        Unit::Seconds,
        "From the creation to the end of a run; server's clocks, to the second",
    ),
    (
        "kfp_run_queue_wait",
        DISTRIBUTION,
        Unit::Seconds,
        "From a run's creation to its first task; server's clocks, to the second",
    ),
    (
        "kfp_run_critical_path",
        DISTRIBUTION,
        Unit::Seconds,
        "The components on the longest way through the pipeline, added up; to the second",
    ),
    (
        "kfp_run_overhead",
        DISTRIBUTION,
        Unit::Seconds,
        "A run's duration without its critical path: what KFP and Argo add; to the second",
    ),
    ("kfp_run_drivers", DISTRIBUTION, Unit::Seconds, "All of a run's drivers, added up; to the second"),
    (
        "kfp_run_state_duration",
        DISTRIBUTION,
        Unit::Seconds,
        "How long a run was in a state, as reports saw it; tag `state`; to the second",
    ),
    (
        "kfp_component_duration",
        DISTRIBUTION,
        Unit::Seconds,
        "A component's time, scheduling and image pull included; tag `component`; to the second",
    ),
    (
        "kfp_driver_duration",
        DISTRIBUTION,
        Unit::Seconds,
        "The time of a component's driver; tag `component`; to the second",
    ),
    (
        "kfp_driver_handover",
        DISTRIBUTION,
        Unit::Seconds,
        "From the end of a driver to its component's start; tag `component`; to the second",
    ),
    (
        "kfp_pod_pending",
        DISTRIBUTION,
        Unit::Seconds,
        "How long a pod waited to run, where reports caught that; tag `pod` (driver, executor); to the second",
    ),
    (
        "kfp_detection_lag",
        DISTRIBUTION,
        Unit::Seconds,
        "From a run's end to our seeing it; both clocks, corrected by kfp_clock_offset; to the second",
    ),
    ("kfp_follow_requests", COUNTER, Unit::None, "Requests sent to follow runs"),
    ("kfp_clock_offset", GAUGE, Unit::Seconds, "The server's clock minus ours, as estimated"),
    ("kfp_clock_offset_uncertainty", GAUGE, Unit::Seconds, "How far that may be wrong"),
    (
        "kfp_experiment_submit_duration",
        DISTRIBUTION,
        Unit::Seconds,
        "From the submission of an experiment to the server's answer; our clock",
    ),
    (
        "kfp_experiment_duration",
        DISTRIBUTION,
        Unit::Seconds,
        "From an experiment's submission to the end of its last run as seen; our clock",
    ),
    ("kfp_list_rows", DISTRIBUTION, Unit::None, "Rows of a page; tag `call`"),
    ("kfp_list_depth", DISTRIBUTION, Unit::None, "How many pages deep a list was read; tag `call`"),
    (
        "kfp_trigger_delay",
        DISTRIBUTION,
        Unit::Seconds,
        "From the instant at which a run was due to its creation; server's clock, to the second",
    ),
    (
        "kfp_trigger_start_delay",
        DISTRIBUTION,
        Unit::Seconds,
        "From the instant at which a run was due to its first task; server's clocks, to the second",
    ),
    ("kfp_trigger_missed", RATE, Unit::None, "Whether no run came for an instant, within `grace`"),
    ("kfp_trigger_overlap", RATE, Unit::None, "Whether a triggered run began while an earlier one had not ended"),
    (
        "kfp_triggers_while_disabled",
        COUNTER,
        Unit::None,
        "Runs that were triggered although the recurring run was switched off",
    ),
    ("kfp_size_duration", DISTRIBUTION, Unit::Seconds, "How long an operation took at a size; tags `size`, `call`"),
];
