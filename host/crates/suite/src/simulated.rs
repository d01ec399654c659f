//! `[simulated]`: the built-in simulated server, used by `target = "simulated"`.

use std::time::Duration;

use crate::{
    node::Node,
    rate::Rate,
    reader::Reader,
    share::Share,
    spec::{COUNT, DURATION, KeySpec, Kind, Need, TableSpec},
};

/// The simulated Kubeflow Pipelines server and the cluster behind it. Times are those of the simulated cluster, before
/// `speed`.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// The seed of its random choices.
    pub seed: u64,
    /// How many pods run at once.
    pub slots: u32,
    /// How many runs may be created per second before the server answers "too many requests"; None for no limit.
    pub create_rate: Option<Rate>,
    /// How many runs may be created at once before `create_rate` counts.
    pub create_burst: u32,
    /// From a pod's creation to its node.
    pub schedule: Duration,
    /// The first pull of an image.
    pub image_pull: Duration,
    /// From an image to a running container.
    pub pod_start: Duration,
    /// From a task's end to its state in the API.
    pub report_lag: Duration,
    /// How much faster than real time the cluster runs; above 0, 1 is real time.
    pub speed: f64,
    /// What every API request takes at least, in real time.
    pub latency: Duration,
    /// How many tasks fail.
    pub failure_rate: Share,
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
        KeySpec::new("slots", COUNT, Need::Default("32"), "How many pods run at once."),
        KeySpec::new(
            "create_rate",
            Kind::Rate { positive: false },
            Need::Default("0/s"),
            "How many runs may be created before the server refuses more; `0/s` for no limit.",
        ),
        KeySpec::new("create_burst", COUNT, Need::Default("10"), "How many runs may be created at once."),
        KeySpec::new("schedule", DURATION, Need::Default("200ms"), "From a pod's creation to its node."),
        KeySpec::new("image_pull", DURATION, Need::Default("2s"), "The first pull of an image."),
        KeySpec::new("pod_start", DURATION, Need::Default("1s"), "From an image to a running container."),
        KeySpec::new("report_lag", DURATION, Need::Default("1s"), "From a task's end to its state in the API."),
        KeySpec::new("speed", Kind::Factor, Need::Default("1"), "How much faster than real time the cluster runs."),
        KeySpec::new("latency", DURATION, Need::Default("2ms"), "What every API request takes at least, in real time."),
        KeySpec::new("failure_rate", Kind::Share, Need::Default("0%"), "How many tasks fail."),
    ],
};

pub(crate) fn read_simulated(reader: &mut Reader<'_>, node: &Node, suite_seed: u64) -> Option<Simulated> {
    let section = reader.section(&SIMULATED, node)?;
    Some(Simulated {
        seed: reader.optional(&section, "seed").unwrap_or(suite_seed),
        slots: reader.value(&section, "slots"),
        create_rate: Some(reader.value::<Rate>(&section, "create_rate")).filter(|rate| !rate.is_zero()),
        create_burst: reader.value(&section, "create_burst"),
        schedule: reader.value(&section, "schedule"),
        image_pull: reader.value(&section, "image_pull"),
        pod_start: reader.value(&section, "pod_start"),
        report_lag: reader.value(&section, "report_lag"),
        speed: reader.optional(&section, "speed").unwrap_or(1.0),
        latency: reader.value(&section, "latency"),
        failure_rate: reader.value(&section, "failure_rate"),
    })
}
