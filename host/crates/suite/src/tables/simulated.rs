//! `[simulated]`: the built-in simulated server, used by `target = "simulated"`.

use std::{collections::BTreeMap, time::Duration};

use kperf_schedule::Rate;

use crate::{
    keys::{COUNT, COUNT_OR_NONE, DURATION, KeySpec, Kind, Need, Reader, Section, TableSpec},
    text::Node,
    values::Share,
};

/// The simulated Kubeflow Pipelines server and the cluster behind it. Times are those of the simulated cluster, before
/// `speed`.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// The seed of its random choices: the suite's, if it has none of its own.
    pub seed: u64,
    /// How many pods run at once.
    pub slots: u32,
    /// How many run creations per second the server lets through, the others wait; None for no limit. In real time.
    pub create_rate: Option<Rate>,
    /// How many run creations pass at once after a quiet time.
    pub create_burst: u32,
    /// From a run's creation until the workflow controller picks it up.
    pub pickup: Duration,
    /// From a pod's creation to its node.
    pub schedule: Duration,
    /// The first pull of an image.
    pub image_pull: Duration,
    /// What a pod whose image is there already spends on it.
    pub image_pull_warm: Duration,
    /// How many pods must pull an image that was pulled before.
    pub cold_pulls: Share,
    /// From an image to a running container.
    pub pod_start: Duration,
    /// The work of a driver pod.
    pub driver: Duration,
    /// From a task's end to its state in the API.
    pub report_lag: Duration,
    /// How often the controller of recurring runs looks for triggers that are due.
    pub resync: Duration,
    /// How long that controller leaves a recurring run alone after it made a run.
    pub resync_after_run: Duration,
    /// How much faster than real time the cluster runs; above 0, 1 is real time.
    pub speed: f64,
    /// How far drawn times spread below and above their mean.
    pub jitter: Share,
    /// The share of tasks that fail.
    pub failure_rate: Share,
    /// The share of tasks that are slow.
    pub slow_rate: Share,
    /// How many times longer slow tasks take.
    pub slow_factor: f64,
    /// How many tasks with caching enabled are found in the cache though nobody ran them before.
    pub cache_rate: Share,
    /// Added to every answer of the API, in real time.
    pub latency: Duration,
    /// Added to the answers of single operations, by name, in real time.
    pub latencies: BTreeMap<&'static str, Duration>,
    /// Added to the answer of a list per 1,000 rows stored, in real time.
    pub list_latency: Duration,
    /// The share of requests that are refused.
    pub error_rate: Share,
    /// With which HTTP status.
    pub error_status: u32,
    /// How many requests end in a connection reset.
    pub reset_rate: Share,
    /// Callers must identify themselves, and everything lives in namespaces.
    pub multi_user: bool,
    /// Who may not act where: `USER=NAMESPACE`, `*` for all.
    pub denied: Vec<String>,
    /// How many authorisations the server gets per second in multi-user mode, the others wait; None for no limit.
    pub authorize_rate: Option<Rate>,
    /// How many authorisations pass at once after a quiet time.
    pub authorize_burst: u32,
    /// Where pods live in single-user mode, and stored rows in multi-user mode.
    pub namespace: String,
    /// How many finished runs are stored at the start.
    pub runs: u32,
    /// How many pipelines are stored at the start.
    pub pipelines: u32,
    /// How many experiments are stored at the start.
    pub experiments: u32,
}

pub(crate) const SIMULATED: TableSpec = TableSpec {
    title: "[simulated]",
    doc: "The built-in simulated Kubeflow Pipelines server, used by `target = \"simulated\"`. Times are those of the \
          simulated cluster, before `speed`.",
    keys: &[
        KeySpec::new(
            "seed",
            Kind::Integer { min: 0, max: i64::MAX },
            Need::Absent("the suite's seed"),
            "The seed of its random choices.",
        ),
        KeySpec::new("slots", COUNT, Need::Default("20"), "How many pods run at once."),
        KeySpec::new(
            "create_rate",
            Kind::Rate { positive: false },
            Need::Default("5/s"),
            "How many run creations the server lets through, in real time; the others wait. `0/s` for no limit.",
        ),
        KeySpec::new(
            "create_burst",
            COUNT,
            Need::Default("10"),
            "How many run creations pass at once after a quiet time.",
        ),
        KeySpec::new(
            "pickup",
            DURATION,
            Need::Default("300ms"),
            "From a run's creation until the workflow controller picks it up.",
        ),
        KeySpec::new("schedule", DURATION, Need::Default("200ms"), "From a pod's creation to its node."),
        KeySpec::new("image_pull", DURATION, Need::Default("2s"), "The first pull of an image."),
        KeySpec::new(
            "image_pull_warm",
            DURATION,
            Need::Default("0s"),
            "What a pod whose image is there already spends on it.",
        ),
        KeySpec::new(
            "cold_pulls",
            Kind::Share,
            Need::Default("0%"),
            "How many pods must pull an image that was pulled before, as on a fresh node.",
        ),
        KeySpec::new("pod_start", DURATION, Need::Default("1s"), "From an image to a running container."),
        KeySpec::new("driver", DURATION, Need::Default("500ms"), "The work of a driver pod."),
        KeySpec::new("report_lag", DURATION, Need::Default("1s"), "From a task's end to its state in the API."),
        KeySpec::new(
            "resync",
            DURATION,
            Need::Default("30s"),
            "How often the controller of recurring runs looks for triggers that are due.",
        ),
        KeySpec::new(
            "resync_after_run",
            DURATION,
            Need::Default("10s"),
            "How long that controller leaves a recurring run alone after it made a run.",
        ),
        KeySpec::new("speed", Kind::Factor, Need::Default("1"), "How much faster than real time the cluster runs."),
        KeySpec::new(
            "jitter",
            Kind::Share,
            Need::Default("20%"),
            "How far drawn times spread below and above their mean.",
        ),
        KeySpec::new("failure_rate", Kind::Share, Need::Default("0%"), "How many tasks fail."),
        KeySpec::new("slow_rate", Kind::Share, Need::Default("0%"), "How many tasks are slow."),
        KeySpec::new("slow_factor", Kind::Factor, Need::Default("10"), "How many times longer slow tasks take."),
        KeySpec::new(
            "cache_rate",
            Kind::Share,
            Need::Default("0%"),
            "How many tasks with caching enabled are found in the cache though nobody ran them before.",
        ),
        KeySpec::new("latency", DURATION, Need::Default("0s"), "Added to every answer of the API, in real time."),
        KeySpec::new(
            "latencies",
            Kind::Table(&LATENCIES),
            Need::Absent("none"),
            "Added to the answers of single operations, in real time.",
        ),
        KeySpec::new(
            "list_latency",
            DURATION,
            Need::Default("0s"),
            "Added to the answer of a list per 1,000 rows that are stored, as a database needs it; in real time.",
        ),
        KeySpec::new("error_rate", Kind::Share, Need::Default("0%"), "How many requests are refused before any work."),
        KeySpec::new(
            "error_status",
            Kind::Integer { min: 400, max: 599 },
            Need::Default("503"),
            "The HTTP status that they are refused with.",
        ),
        KeySpec::new(
            "reset_rate",
            Kind::Share,
            Need::Default("0%"),
            "How many requests end in a connection reset; half of them after the work was done.",
        ),
        KeySpec::new(
            "multi_user",
            Kind::Bool,
            Need::Default("false"),
            "Callers must identify themselves, by `kubeflow-userid` or a bearer token, and everything lives in namespaces.",
        ),
        KeySpec::new(
            "denied",
            Kind::Texts,
            Need::Absent("everybody may act everywhere"),
            "Who may not act where, each as `USER=NAMESPACE` with `*` for all.",
        ),
        KeySpec::new(
            "authorize_rate",
            Kind::Rate { positive: false },
            Need::Default("5/s"),
            "How many authorisations the server gets in multi-user mode, in real time; others wait. `0/s` for no limit.",
        ),
        KeySpec::new(
            "authorize_burst",
            COUNT,
            Need::Default("10"),
            "How many authorisations pass at once after a quiet time.",
        ),
        KeySpec::new(
            "namespace",
            Kind::Text,
            Need::Default("kubeflow"),
            "Where pods live in single-user mode, and stored rows in multi-user mode.",
        ),
        KeySpec::new("runs", COUNT_OR_NONE, Need::Default("0"), "How many finished runs are stored at the start."),
        KeySpec::new("pipelines", COUNT_OR_NONE, Need::Default("0"), "How many pipelines are stored at the start."),
        KeySpec::new(
            "experiments",
            COUNT_OR_NONE,
            Need::Default("0"),
            "How many experiments are stored at the start, besides `Default`.",
        ),
    ],
};

const fn operation(name: &'static str, doc: &'static str) -> KeySpec {
    KeySpec::new(name, DURATION, Need::Absent("none"), doc)
}

const LATENCIES: TableSpec = TableSpec {
    title: "[simulated.latencies]",
    doc: "How much longer answers of single operations take, on top of `latency` and in real time.",
    keys: &[
        operation("upload_pipeline", "Uploading a pipeline."),
        operation("upload_pipeline_version", "Uploading a version."),
        operation("create_pipeline", "Creating a pipeline without a version."),
        operation("create_pipeline_and_version", "Creating a pipeline from a URL."),
        operation("list_pipelines", "A page of pipelines."),
        operation("get_pipeline", "One pipeline."),
        operation("get_pipeline_by_name", "One pipeline by its name."),
        operation("update_pipeline", "Changing a pipeline."),
        operation("delete_pipeline", "Deleting a pipeline."),
        operation("create_pipeline_version", "Creating a version from a URL."),
        operation("list_pipeline_versions", "A page of versions."),
        operation("get_pipeline_version", "One version."),
        operation("update_pipeline_version", "Changing a version."),
        operation("delete_pipeline_version", "Deleting a version."),
        operation("create_experiment", "Creating an experiment."),
        operation("list_experiments", "A page of experiments."),
        operation("get_experiment", "One experiment."),
        operation("delete_experiment", "Deleting an experiment."),
        operation("archive_experiment", "Archiving an experiment."),
        operation("unarchive_experiment", "Taking an experiment back."),
        operation("create_run", "Creating a run."),
        operation("list_runs", "A page of runs."),
        operation("get_run", "One run."),
        operation("delete_run", "Deleting a run."),
        operation("terminate_run", "Terminating a run."),
        operation("retry_run", "Retrying a run."),
        operation("archive_run", "Archiving a run."),
        operation("unarchive_run", "Taking a run back."),
        operation("read_artifact", "Reading an artifact."),
        operation("create_recurring_run", "Creating a recurring run."),
        operation("list_recurring_runs", "A page of recurring runs."),
        operation("get_recurring_run", "One recurring run."),
        operation("delete_recurring_run", "Deleting a recurring run."),
        operation("enable_recurring_run", "Enabling a recurring run."),
        operation("disable_recurring_run", "Disabling a recurring run."),
        operation("report_workflow", "The agent's report of a workflow."),
        operation("report_scheduled_workflow", "The agent's report of a scheduled workflow."),
    ],
};

/// The operations that `latencies` knows.
pub fn simulated_operations() -> impl Iterator<Item = &'static str> {
    LATENCIES.names()
}

pub(crate) fn read_simulated(reader: &mut Reader<'_>, node: &Node, suite_seed: u64) -> Option<Simulated> {
    let section = reader.section(&SIMULATED, node)?;
    let latencies = match reader.find(&section, "latencies").0 {
        Some(node) => read_latencies(reader, node)?,
        None => BTreeMap::new(),
    };
    let denied = read_denied(reader, &section);
    let limit = |rate: Rate| Some(rate).filter(|rate| !rate.is_zero());
    Some(Simulated {
        seed: reader.optional(&section, "seed").unwrap_or(suite_seed),
        slots: reader.value(&section, "slots"),
        create_rate: limit(reader.value(&section, "create_rate")),
        create_burst: reader.value(&section, "create_burst"),
        pickup: reader.value(&section, "pickup"),
        schedule: reader.value(&section, "schedule"),
        image_pull: reader.value(&section, "image_pull"),
        image_pull_warm: reader.value(&section, "image_pull_warm"),
        cold_pulls: reader.value(&section, "cold_pulls"),
        pod_start: reader.value(&section, "pod_start"),
        driver: reader.value(&section, "driver"),
        report_lag: reader.value(&section, "report_lag"),
        resync: reader.value(&section, "resync"),
        resync_after_run: reader.value(&section, "resync_after_run"),
        speed: reader.optional(&section, "speed").unwrap_or(1.0),
        jitter: reader.value(&section, "jitter"),
        failure_rate: reader.value(&section, "failure_rate"),
        slow_rate: reader.value(&section, "slow_rate"),
        slow_factor: reader.optional(&section, "slow_factor").unwrap_or(1.0),
        cache_rate: reader.value(&section, "cache_rate"),
        latency: reader.value(&section, "latency"),
        latencies,
        list_latency: reader.value(&section, "list_latency"),
        error_rate: reader.value(&section, "error_rate"),
        error_status: reader.value(&section, "error_status"),
        reset_rate: reader.value(&section, "reset_rate"),
        multi_user: reader.value(&section, "multi_user"),
        denied,
        authorize_rate: limit(reader.value(&section, "authorize_rate")),
        authorize_burst: reader.value(&section, "authorize_burst"),
        namespace: reader.value(&section, "namespace"),
        runs: reader.value(&section, "runs"),
        pipelines: reader.value(&section, "pipelines"),
        experiments: reader.value(&section, "experiments"),
    })
}

fn read_denied(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<String> {
    let mut denied = Vec::new();
    for denial in reader.texts(section, "denied") {
        match denial.value.split_once('=') {
            Some((user, namespace)) if !user.is_empty() && !namespace.is_empty() => denied.push(denial.value),
            _ => {
                let help = Some("write it like `user@example.com=team-1`, or `*=team-1`".to_owned());
                reader.report(denial.span, format!("`{}` names no user and namespace", denial.value), help);
            }
        }
    }
    denied
}

fn read_latencies(reader: &mut Reader<'_>, node: &Node) -> Option<BTreeMap<&'static str, Duration>> {
    let section = reader.section(&LATENCIES, node)?;
    Some(LATENCIES.names().filter_map(|name| Some((name, reader.optional(&section, name)?))).collect())
}
