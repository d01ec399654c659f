//! `[scenario.load]`: how iterations are started, in the words of k6's executors.

use std::time::Duration;

use kperf_schedule::{CapacitySearch, Executor, Rate, SearchPlan, Stage};

use crate::{
    keys::{COUNT, COUNT_OR_NONE, DURATION, KeySpec, Kind, Need, Reader, SOME_DURATION, Section, TableSpec, Typed},
    text::{Complaint, Node, suggest},
    values::{DurationText, Share},
};

/// How many iterations run, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The executor and its numbers.
    pub executor: Executor,
    /// How long running iterations may take to end once no more are started.
    pub graceful_stop: Duration,
}

const SECOND: Duration = Duration::from_secs(1);

fn total<T>(stages: &[Stage<T>]) -> Duration {
    stages.iter().fold(Duration::ZERO, |sum, stage| sum.saturating_add(stage.duration))
}

const STAGE_DURATION: KeySpec =
    KeySpec::new("duration", DURATION, Need::Required, "How long the stage takes; `0s` jumps.");

pub(crate) const STAGE_VUS: TableSpec = TableSpec {
    title: "[[scenario.load.stages]] of users",
    doc: "A stage of `ramping-vus`.",
    keys: &[STAGE_DURATION, KeySpec::new("target", COUNT_OR_NONE, Need::Required, "Users at its end.")],
};

pub(crate) const STAGE_RATE: TableSpec = TableSpec {
    title: "[[scenario.load.stages]] of rates",
    doc: "A stage of `ramping-arrival-rate`.",
    keys: &[
        STAGE_DURATION,
        KeySpec::new("target", Kind::Rate { positive: false }, Need::Required, "The rate of starts at its end."),
    ],
};

const EXECUTORS: &[&str] = &[
    "constant-vus",
    "ramping-vus",
    "per-vu-iterations",
    "shared-iterations",
    "constant-arrival-rate",
    "ramping-arrival-rate",
    "capacity-search",
];

const EXECUTOR: KeySpec =
    KeySpec::new("executor", Kind::Choice(EXECUTORS), Need::Required, "Which executor the other keys belong to.");
const VUS: KeySpec = KeySpec::new("vus", COUNT, Need::Default("1"), "Virtual users.");
const RUN_FOR: KeySpec = KeySpec::new("duration", SOME_DURATION, Need::Required, "How long iterations are started.");
const MAX_DURATION: KeySpec =
    KeySpec::new("max_duration", SOME_DURATION, Need::Default("10m"), "No iteration starts after this.");
const PRE_ALLOCATED: KeySpec =
    KeySpec::new("pre_allocated_vus", COUNT, Need::Required, "Virtual users that are ready from the start.");
const MAX_VUS: KeySpec = KeySpec::new(
    "max_vus",
    COUNT,
    Need::Absent("`pre_allocated_vus`"),
    "The most virtual users; an arrival that finds none free is dropped and counted.",
);
const GRACEFUL_STOP: KeySpec = KeySpec::new(
    "graceful_stop",
    DURATION,
    Need::Default("30s"),
    "How long running iterations may take to end once no more are started.",
);
const THINK_TIME: KeySpec =
    KeySpec::new("think_time", DURATION, Need::Default("0s"), "The pause of a user between two iterations.");

/// In the order of `EXECUTORS`.
pub(crate) const LOADS: &[TableSpec] = &[
    TableSpec {
        title: "[scenario.load] of constant-vus",
        doc: "So many users for so long; each starts its next iteration when the last one has ended.",
        keys: &[EXECUTOR, VUS, RUN_FOR, THINK_TIME, GRACEFUL_STOP],
    },
    TableSpec {
        title: "[scenario.load] of ramping-vus",
        doc: "A number of users that changes in stages, linearly within each.",
        keys: &[
            EXECUTOR,
            KeySpec::new("start_vus", COUNT_OR_NONE, Need::Default("1"), "Users at the start."),
            KeySpec::new("stages", Kind::List(&STAGE_VUS), Need::Required, "The stages, one after the other."),
            THINK_TIME,
            KeySpec::new(
                "graceful_ramp_down",
                DURATION,
                Need::Default("30s"),
                "How long a user that is no longer wanted may take to end its iteration.",
            ),
            GRACEFUL_STOP,
        ],
    },
    TableSpec {
        title: "[scenario.load] of per-vu-iterations",
        doc: "So many iterations by each user.",
        keys: &[
            EXECUTOR,
            VUS,
            KeySpec::new("iterations", COUNT, Need::Default("1"), "Iterations of each user."),
            MAX_DURATION,
            THINK_TIME,
            GRACEFUL_STOP,
        ],
    },
    TableSpec {
        title: "[scenario.load] of shared-iterations",
        doc: "So many iterations by all users together.",
        keys: &[
            EXECUTOR,
            VUS,
            KeySpec::new("iterations", COUNT, Need::Default("1"), "Iterations of all users together; at least `vus`."),
            MAX_DURATION,
            THINK_TIME,
            GRACEFUL_STOP,
        ],
    },
    TableSpec {
        title: "[scenario.load] of constant-arrival-rate",
        doc: "So many iterations start per second, whatever became of the ones before.",
        keys: &[
            EXECUTOR,
            KeySpec::new("rate", Kind::Rate { positive: true }, Need::Required, "Starts of iterations."),
            RUN_FOR,
            PRE_ALLOCATED,
            MAX_VUS,
            GRACEFUL_STOP,
        ],
    },
    TableSpec {
        title: "[scenario.load] of ramping-arrival-rate",
        doc: "A rate of starts that changes in stages, linearly within each.",
        keys: &[
            EXECUTOR,
            KeySpec::new("start_rate", Kind::Rate { positive: false }, Need::Default("0/s"), "The rate at the start."),
            KeySpec::new("stages", Kind::List(&STAGE_RATE), Need::Required, "The stages, one after the other."),
            PRE_ALLOCATED,
            MAX_VUS,
            GRACEFUL_STOP,
        ],
    },
    TableSpec {
        title: "[scenario.load] of capacity-search",
        doc: "Finds the highest rate of starts that holds: the rate grows until a step breaks, then the gap is halved until it is \
              narrow, then both ends are confirmed. A step breaks when one of the scenario's thresholds does not hold for its \
              samples, or when work piles up.",
        keys: &[
            EXECUTOR,
            KeySpec::new(
                "start_rate",
                Kind::Rate { positive: true },
                Need::Required,
                "The first rate; it should hold.",
            ),
            KeySpec::new("max_rate", Kind::Rate { positive: true }, Need::Required, "The highest rate that is tried."),
            KeySpec::new(
                "step",
                SOME_DURATION,
                Need::Default("30s"),
                "How long a rate is held and judged, in whole seconds. Best ten times as long as an iteration or more.",
            ),
            KeySpec::new(
                "settle",
                DURATION,
                Need::Absent("a quarter of `step`"),
                "The first part of a step, which is not judged. Longer by itself where iterations take longer.",
            ),
            KeySpec::new(
                "growth",
                Kind::Factor,
                Need::Default("2"),
                "What the rate is multiplied with while everything holds; above 1.",
            ),
            KeySpec::new(
                "precision",
                Kind::Share,
                Need::Default("5%"),
                "The search is narrow enough when the lowest rate that broke is this little above the highest that held; from 1%.",
            ),
            KeySpec::new(
                "confirm",
                COUNT,
                Need::Default("2"),
                "How often that rate has to hold, and the one above it to break. A contradiction takes one away.",
            ),
            KeySpec::new(
                "recover",
                DURATION,
                Need::Default("30s"),
                "The longest pause after a step that broke; it ends when no iteration is running any more.",
            ),
            KeySpec::new("max_duration", SOME_DURATION, Need::Default("1h"), "No step starts after this."),
            PRE_ALLOCATED,
            MAX_VUS,
            GRACEFUL_STOP,
        ],
    },
];

/// The executors, among them the one that goes with each description of [`LOADS`].
pub(crate) fn executors() -> impl Iterator<Item = (&'static str, &'static TableSpec)> {
    EXECUTORS.iter().copied().zip(LOADS)
}

pub(crate) fn read_load(reader: &mut Reader<'_>, node: &Node) -> Option<Load> {
    let Some(table) = node.table() else {
        reader.complain(node, Complaint::new(format!("expected a table, found {}", node.found())));
        return None;
    };
    let Some(executor) = table.get("executor") else {
        let help = format!("known here: {}", suggest::list(EXECUTORS));
        reader.report(node.span, "missing key `executor` in [scenario.load]", help);
        return None;
    };
    let name = match String::read(executor, EXECUTOR.kind, reader.sources) {
        Ok(name) => name,
        Err(complaint) => {
            reader.complain(executor, complaint);
            return None;
        }
    };
    let (_, spec) = executors().find(|(known, _)| *known == name)?;
    let section = reader.section_of(spec, table, node.span, |key| elsewhere(key, spec));
    let executor = read_executor(reader, &section, &name)?;
    Some(Load { executor, graceful_stop: reader.value(&section, "graceful_stop") })
}

/// Which executors have `key`, if it isn't more likely misspelt.
fn elsewhere(key: &str, here: &TableSpec) -> Option<String> {
    let owners: Vec<&str> = executors().filter(|(_, spec)| spec.key(key).is_some()).map(|(name, _)| name).collect();
    if owners.is_empty() {
        return None;
    }
    let known: Vec<&str> = here.names().collect();
    Some(format!("`{key}` belongs to {}; this executor has {}", suggest::list(&owners), suggest::list(&known)))
}

fn read_executor(reader: &mut Reader<'_>, section: &Section<'_>, name: &str) -> Option<Executor> {
    // Asked for by every executor's section, so that it counts as read.
    reader.find(section, "executor");
    Some(match name {
        "constant-vus" => Executor::ConstantVus {
            vus: reader.value(section, "vus"),
            duration: reader.value(section, "duration"),
            think_time: reader.value(section, "think_time"),
        },
        "ramping-vus" => Executor::RampingVus {
            start_vus: reader.value(section, "start_vus"),
            stages: read_stages(reader, section, &STAGE_VUS),
            graceful_ramp_down: reader.value(section, "graceful_ramp_down"),
            think_time: reader.value(section, "think_time"),
        },
        "per-vu-iterations" => Executor::PerVuIterations {
            vus: reader.value(section, "vus"),
            iterations: reader.value::<u32>(section, "iterations").into(),
            max_duration: reader.value(section, "max_duration"),
            think_time: reader.value(section, "think_time"),
        },
        "shared-iterations" => {
            let (vus, iterations): (u32, u32) = (reader.value(section, "vus"), reader.value(section, "iterations"));
            if iterations < vus && iterations > 0 {
                let span = section.table.get("iterations").map_or(section.span, |node| node.span);
                let help = format!("set `iterations` to at least {vus}, or use `per-vu-iterations`");
                reader.report(span, format!("{iterations} iterations are not enough for {vus} users"), help);
            }
            Executor::SharedIterations {
                vus,
                iterations: iterations.into(),
                max_duration: reader.value(section, "max_duration"),
                think_time: reader.value(section, "think_time"),
            }
        }
        "constant-arrival-rate" => {
            let (pre_allocated_vus, max_vus) = read_open_vus(reader, section);
            Executor::ConstantArrivalRate {
                rate: reader.value(section, "rate"),
                duration: reader.value(section, "duration"),
                pre_allocated_vus,
                max_vus,
            }
        }
        "ramping-arrival-rate" => {
            let (pre_allocated_vus, max_vus) = read_open_vus(reader, section);
            Executor::RampingArrivalRate {
                start_rate: reader.value(section, "start_rate"),
                stages: read_stages(reader, section, &STAGE_RATE),
                pre_allocated_vus,
                max_vus,
            }
        }
        "capacity-search" => Executor::CapacitySearch(read_search(reader, section)),
        _ => return None,
    })
}

/// A report on a key that can be read, and fits nothing else that is written.
fn report_key(reader: &mut Reader<'_>, section: &Section<'_>, key: &str, message: String, help: String) {
    let span = section.table.get(key).map_or(section.span, |node| node.span);
    reader.report(span, message, help);
}

fn read_search(reader: &mut Reader<'_>, section: &Section<'_>) -> CapacitySearch {
    let (pre_allocated_vus, max_vus) = read_open_vus(reader, section);
    let start_rate: Rate = reader.value(section, "start_rate");
    let max_rate: Rate = reader.value(section, "max_rate");
    if max_rate.as_per_second() < start_rate.as_per_second() && !max_rate.is_zero() {
        let message = format!("`max_rate` is {max_rate}, less than the {start_rate} of `start_rate`");
        report_key(reader, section, "max_rate", message, "the search goes up from `start_rate`".to_owned());
    }
    let trial: Duration = reader.value(section, "step");
    let quarter = Duration::from_secs(trial.as_secs().div_ceil(4)).min(trial.saturating_sub(SECOND));
    let settle = reader.optional(section, "settle").unwrap_or(quarter);
    for (key, length) in [("step", trial), ("settle", settle)] {
        if length.subsec_nanos() > 0 {
            let message = format!("`{key}` is {}, not a number of whole seconds", DurationText(length));
            report_key(reader, section, key, message, "samples are cut into steps at full seconds".to_owned());
        }
    }
    if settle + SECOND > trial && !trial.is_zero() {
        let message = format!("`settle` leaves nothing to judge of a step of {}", DurationText(trial));
        let key = if section.table.get("settle").is_some() { "settle" } else { "step" };
        report_key(reader, section, key, message, "at least one second of a step has to be judged".to_owned());
    }
    let growth: f64 = reader.value(section, "growth");
    if growth > 0.0 && growth < 1.05 {
        let message = format!("`growth` is {growth}: the rate would hardly grow");
        report_key(reader, section, "growth", message, "it is a factor: 2 doubles the rate".to_owned());
    }
    let precision: Share = reader.value(section, "precision");
    if precision.ratio() < 0.01 && section.table.get("precision").is_some_and(|node| node.text().is_some()) {
        let help = "steps of a finite length can't tell rates apart that are closer".to_owned();
        report_key(reader, section, "precision", format!("a precision of {precision} is below 1%"), help);
    }
    CapacitySearch {
        plan: SearchPlan {
            start: start_rate,
            max: max_rate,
            growth,
            precision: precision.ratio(),
            confirm: reader.value(section, "confirm"),
        },
        trial,
        settle,
        recover: reader.value(section, "recover"),
        max_duration: reader.value(section, "max_duration"),
        pre_allocated_vus,
        max_vus,
    }
}

fn read_open_vus(reader: &mut Reader<'_>, section: &Section<'_>) -> (u32, u32) {
    let ready: u32 = reader.value(section, "pre_allocated_vus");
    let most = reader.optional(section, "max_vus").unwrap_or(ready);
    if most < ready {
        let span = section.table.get("max_vus").map_or(section.span, |node| node.span);
        let message = format!("`max_vus` is {most}, less than the {ready} of `pre_allocated_vus`");
        reader.report(span, message, format!("set it to at least {ready}"));
    }
    (ready, most)
}

fn read_stages<T: Typed + Default>(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    spec: &'static TableSpec,
) -> Vec<Stage<T>> {
    let before = reader.diagnostics.list.len();
    let items = reader.items(section, "stages");
    let mut stages = Vec::with_capacity(items.len());
    for item in items {
        if let Some(stage) = reader.section(spec, item) {
            stages.push(Stage { duration: reader.value(&stage, "duration"), target: reader.value(&stage, "target") });
        }
    }
    if let Some(node) = section.table.get("stages")
        && reader.diagnostics.list.len() == before
        && total(&stages).is_zero()
    {
        let message = if stages.is_empty() {
            "there are no stages".to_owned()
        } else {
            format!("the stages take {} together", DurationText(Duration::ZERO))
        };
        reader.report(node.span, message, "add a stage, like `{ duration = \"30s\", target = .. }`".to_owned());
    }
    stages
}
