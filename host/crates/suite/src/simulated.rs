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
    /// From an image to a running container.
    pub pod_start: Duration,
    /// The work of a driver pod.
    pub driver: Duration,
    /// From a task's end to its state in the API.
    pub report_lag: Duration,
    /// How much faster than real time the cluster runs; above 0, 1 is real time.
    pub speed: f64,
    /// Added to every answer of the API, in real time.
    pub latency: Duration,
    /// How many tasks fail.
    pub failure_rate: Share,
    /// How far drawn times spread below and above their mean.
    pub jitter: Share,
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
        KeySpec::new("pod_start", DURATION, Need::Default("1s"), "From an image to a running container."),
        KeySpec::new("driver", DURATION, Need::Default("500ms"), "The work of a driver pod."),
        KeySpec::new("report_lag", DURATION, Need::Default("1s"), "From a task's end to its state in the API."),
        KeySpec::new("speed", Kind::Factor, Need::Default("1"), "How much faster than real time the cluster runs."),
        KeySpec::new("latency", DURATION, Need::Default("0s"), "Added to every answer of the API, in real time."),
        KeySpec::new("failure_rate", Kind::Share, Need::Default("0%"), "How many tasks fail."),
        KeySpec::new(
            "jitter",
            Kind::Share,
            Need::Default("20%"),
            "How far drawn times spread below and above their mean.",
        ),
    ],
};

pub(crate) fn read_simulated(reader: &mut Reader<'_>, node: &Node, suite_seed: u64) -> Option<Simulated> {
    let section = reader.section(&SIMULATED, node)?;
    Some(Simulated {
        seed: reader.optional(&section, "seed").unwrap_or(suite_seed),
        slots: reader.value(&section, "slots"),
        create_rate: Some(reader.value::<Rate>(&section, "create_rate")).filter(|rate| !rate.is_zero()),
        create_burst: reader.value(&section, "create_burst"),
        pickup: reader.value(&section, "pickup"),
        schedule: reader.value(&section, "schedule"),
        image_pull: reader.value(&section, "image_pull"),
        pod_start: reader.value(&section, "pod_start"),
        driver: reader.value(&section, "driver"),
        report_lag: reader.value(&section, "report_lag"),
        speed: reader.optional(&section, "speed").unwrap_or(1.0),
        latency: reader.value(&section, "latency"),
        failure_rate: reader.value(&section, "failure_rate"),
        jitter: reader.value(&section, "jitter"),
    })
}
