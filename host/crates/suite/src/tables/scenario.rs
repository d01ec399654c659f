//! `[[scenario]]`: one plugin, one load, what must hold.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use kperf_metrics::Builtin;
use kperf_schedule::Executor;

use super::{
    load::{LOADS, Load, read_load},
    plugin_use,
    plugin_use::{Known, PluginUse, read_plugin_use},
    threshold::{THRESHOLD, Threshold, read_thresholds},
};
use crate::{
    keys::{COUNT, DURATION, KeySpec, Kind, Need, Reader, SOME_DURATION, Section, TableSpec},
    text::Node,
};

/// One plugin under one load. A suite's matrix is already expanded: each combination is a scenario of its own.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The plugin, its target and grants.
    pub plugin: PluginUse,
    /// When its load starts, counted from the run's start of load.
    pub start: Duration,
    /// Tags of all its samples.
    pub tags: BTreeMap<String, String>,
    /// The tag whose values the summary puts together; None for no such tag.
    pub spread: Option<String>,
    /// How virtual users share instances; None for what fits the way the guest was built.
    pub isolation: Option<Isolation>,
    /// The most users of one shared instance.
    pub group: NonZeroU32,
    /// How many worker threads; None for as many as fit the machine.
    pub workers: Option<NonZeroU32>,
    /// The longest iteration; None for no limit.
    pub iteration_timeout: Option<Duration>,
    /// How iterations are started.
    pub load: Load,
    /// What must hold for this scenario's samples.
    pub thresholds: Vec<Threshold>,
}

/// How virtual users share instances of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A group of users runs in one instance.
    Shared,
    /// An instance for each user.
    User,
    /// A fresh instance for each iteration.
    Iteration,
}

impl Isolation {
    const ALL: [Self; 3] = [Self::Shared, Self::User, Self::Iteration];
}

/// Tags that the host sets itself.
const HOST_TAGS: [&str; 6] = ["scenario", "operation", "status", "method", "check", "kind"];

pub(crate) const SCENARIO: TableSpec = TableSpec {
    title: "[[scenario]]",
    doc: "One plugin under one load. All scenarios of a suite run at once, each from its `start`.",
    keys: &[
        plugin_use::NAME,
        plugin_use::PLUGIN,
        plugin_use::MODE,
        plugin_use::TARGET,
        plugin_use::PARAMS,
        KeySpec::new(
            "load",
            Kind::Load(LOADS),
            Need::Required,
            "The load; which keys it has depends on its `executor`.",
        ),
        KeySpec::new(
            "thresholds",
            Kind::Thresholds(&THRESHOLD),
            Need::Absent("none"),
            "What must hold for this scenario's samples.",
        ),
        KeySpec::new(
            "start",
            DURATION,
            Need::Default("0s"),
            "When the load starts, counted from the run's start of load.",
        ),
        KeySpec::new("tags", Kind::TextMap, Need::Absent("none"), "Tags of all samples; keys are `[a-z_][a-z0-9_]*`."),
        KeySpec::new(
            "spread",
            Kind::Text,
            Need::Default("tenant"),
            "A tag that may have many values: the summary puts those of an operation and of a metric together, and says how \
             they spread. `\"\"` for none.",
        ),
        KeySpec::new(
            "isolation",
            Kind::Choice(&["shared", "user", "iteration"]),
            Need::Absent("what fits the way the guest was built"),
            "How virtual users share instances: a group in one, one for each user, or a fresh one for each iteration.",
        ),
        KeySpec::new("group", COUNT, Need::Default("128"), "The most users of one shared instance."),
        KeySpec::new("workers", COUNT, Need::Absent("as many as fit the machine"), "How many worker threads."),
        KeySpec::new(
            "iteration_timeout",
            SOME_DURATION,
            Need::Absent("no limit"),
            "The longest iteration; a longer one fails.",
        ),
        plugin_use::ALLOW_HOSTS,
        plugin_use::CREDENTIALS,
        plugin_use::LIMITS_KEY,
    ],
};

pub(crate) fn read_scenario(reader: &mut Reader<'_>, node: &Node, known: &Known<'_>) -> Option<Scenario> {
    let section = reader.section(&SCENARIO, node)?;
    let plugin = read_plugin_use(reader, &section, known);
    let load = match reader.find(&section, "load").0 {
        Some(node) => read_load(reader, node),
        None => None,
    };
    let start = reader.value(&section, "start");
    let tags = reader.text_map(&section, "tags", check_tag);
    let spread = read_spread(reader, &section);
    let isolation = reader.choice(&section, "isolation", &Isolation::ALL);
    let group: u32 = reader.value(&section, "group");
    let workers: Option<u32> = reader.optional(&section, "workers");
    let iteration_timeout = reader.optional(&section, "iteration_timeout");
    let thresholds = read_thresholds(reader, &section, "thresholds");
    let plugin = plugin?;
    if let Some(Load { executor: Executor::CapacitySearch(_), .. }) = &load {
        check_search(reader, node, &thresholds);
    }
    let thresholds = thresholds.into_iter().map(|threshold| threshold.within(&plugin.name.value)).collect();
    Some(Scenario {
        plugin,
        start,
        tags,
        spread,
        isolation,
        group: NonZeroU32::new(group)?,
        workers: workers.and_then(NonZeroU32::new),
        iteration_timeout,
        load: load?,
        thresholds,
    })
}

/// A capacity search needs something that a step can break, and breaking is what it goes for.
fn check_search(reader: &mut Reader<'_>, node: &Node, thresholds: &[Threshold]) {
    for threshold in thresholds.iter().filter(|threshold| threshold.abort.is_some()) {
        let help = "leave `abort` out: what does not hold ends the step, not the run".to_owned();
        reader.report(threshold.span, "thresholds of a capacity search judge its steps", help);
    }
    let of_steps = |threshold: &Threshold| threshold.expression.metric() != Builtin::Capacity.name();
    let written = node.table().and_then(|table| table.get("thresholds"));
    let unreadable = written.and_then(Node::array).is_some_and(|items| items.len() != thresholds.len());
    if !thresholds.iter().any(of_steps) && !unreadable {
        let help = "say what has to hold at a rate that counts, like `\"http_req_failed rate < 1%\"`".to_owned();
        reader.report(written.unwrap_or(node).span, "a capacity search has to have thresholds", help);
    }
}

/// The tag, unless the suite wants none.
fn read_spread(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<String> {
    let spread: Option<String> = reader.optional(section, "spread");
    let spread = spread.filter(|key| !key.is_empty())?;
    if let (Err(error), Some(node)) = (check_tag(&spread), section.table.get("spread")) {
        reader.report(node.span, error.to_string(), None);
    }
    Some(spread)
}

/// Why a key is no tag of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum TagError {
    /// One of [`HOST_TAGS`].
    #[error("the tag `{0}` is set by kperf itself")]
    Reserved(String),
    /// Other characters than those of a tag.
    #[error("`{0}` is no tag: use lower-case letters, digits and `_`, not starting with a digit")]
    Name(String),
}

fn check_tag(key: &str) -> Result<(), TagError> {
    let first = key.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if HOST_TAGS.contains(&key) {
        Err(TagError::Reserved(key.to_owned()))
    } else if first && rest {
        Ok(())
    } else {
        Err(TagError::Name(key.to_owned()))
    }
}
