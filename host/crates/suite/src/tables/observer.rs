//! `[[collector]]` and `[[reporter]]`: plugins that observe the system under test, and plugins that report.

use std::time::Duration;

use super::{
    native,
    native::{NativeCollector, is_native, read_native},
    plugin_use,
    plugin_use::{Known, PluginUse, read_plugin_use},
};
use crate::{
    keys::{DURATION, KeySpec, Kind, Need, Reader, SOME_DURATION, Section, TableSpec},
    text::{Node, suggest},
};

/// A plugin that observes the system under test.
#[derive(Clone, Debug)]
pub struct Collector {
    /// The plugin, its target and grants.
    pub plugin: PluginUse,
    /// From one observation to the next.
    pub interval: Duration,
    /// How long it may take once load is over, a call that is still going on included.
    pub deadline: Duration,
}

/// A plugin that delivers messages about the run and its result.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// The plugin, its target and grants.
    pub plugin: PluginUse,
    /// Whether the run counts as failed if the reporter does.
    pub required: bool,
    /// The events that it gets.
    pub on: Vec<Occasion>,
    /// How long a breach has to last before it is an event.
    pub hold: Duration,
    /// How long a message is tried, and how long the reporter may take once load is over.
    pub deadline: Duration,
    /// A file outside the run's folder that gets what it writes, too; relative to where kperf was started.
    pub append_to: Option<String>,
}

/// An event of a run that a reporter can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Load starts.
    Start,
    /// A threshold does not hold any more.
    Breach,
    /// A threshold whose breach was an event holds again.
    Recovered,
    /// The run has ended, and its verdict is another than pass.
    Fail,
    /// The run has ended and passes.
    Pass,
    /// All of these.
    Always,
}

impl Occasion {
    /// The word for it in a suite.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Breach => "breach",
            Self::Recovered => "recovered",
            Self::Fail => "fail",
            Self::Pass => "pass",
            Self::Always => "always",
        }
    }

    const ALL: [Self; 6] = [Self::Start, Self::Breach, Self::Recovered, Self::Fail, Self::Pass, Self::Always];
}

pub(crate) const COLLECTOR: TableSpec = TableSpec {
    title: "[[collector]]",
    doc: "A plugin that observes the system under test while load runs.",
    keys: &[
        plugin_use::NAME,
        plugin_use::PLUGIN,
        plugin_use::MODE,
        plugin_use::TARGET,
        plugin_use::PARAMS,
        KeySpec::new("interval", SOME_DURATION, Need::Default("5s"), "From one observation to the next."),
        KeySpec::new(
            "deadline",
            SOME_DURATION,
            Need::Default("10s"),
            "How long it may take once load is over, a call that is still going on included; then it is cut off, and an incident says so.",
        ),
        native::NATIVE,
        native::SHA256,
        native::REQUIRED,
        plugin_use::ALLOW_HOSTS,
        plugin_use::CREDENTIALS,
        plugin_use::LIMITS_KEY,
    ],
};

pub(crate) const REPORTER: TableSpec = TableSpec {
    title: "[[reporter]]",
    doc: "A plugin that tells somebody about the result.",
    keys: &[
        plugin_use::NAME,
        plugin_use::PLUGIN,
        plugin_use::MODE,
        plugin_use::TARGET,
        plugin_use::PARAMS,
        KeySpec::new(
            "required",
            Kind::Bool,
            Need::Default("false"),
            "The run's exit code says so if this reporter fails.",
        ),
        KeySpec::new(
            "on",
            Kind::Texts,
            Need::Absent("`[\"always\"]`"),
            "When it is told something: `start` of the load, `breach` of a threshold, `recovered` from one, `fail` (the run has \
             ended, and not with a pass), `pass`, or `always`.",
        ),
        KeySpec::new(
            "hold",
            DURATION,
            Need::Default("10s"),
            "How long a breach has to last before it is told. One that is over sooner is not told, and neither is its end.",
        ),
        KeySpec::new(
            "deadline",
            SOME_DURATION,
            Need::Default("30s"),
            "How long the host tries to deliver a message, and how long the reporter may take once the run is over.",
        ),
        KeySpec::new(
            "append_to",
            Kind::Text,
            Need::Absent("the run's folder only"),
            "A file to which the host appends what the reporter writes: `${GITHUB_STEP_SUMMARY:-}`. Nothing happens if it is empty.",
        ),
        plugin_use::ALLOW_HOSTS,
        plugin_use::CREDENTIALS,
        plugin_use::LIMITS_KEY,
    ],
};

/// A collector on either side of the sandbox's wall.
pub(crate) enum AnyCollector {
    Sandboxed(Collector),
    Native(NativeCollector),
}

pub(crate) fn read_collector(reader: &mut Reader<'_>, node: &Node, known: &Known<'_>) -> Option<AnyCollector> {
    let section = reader.section(&COLLECTOR, node)?;
    let interval = reader.value(&section, "interval");
    if let Some(native) = is_native(reader, &section) {
        return read_native(reader, &section, known, native, interval).map(AnyCollector::Native);
    }
    let deadline = reader.value(&section, "deadline");
    Some(AnyCollector::Sandboxed(Collector { plugin: read_plugin_use(reader, &section, known)?, interval, deadline }))
}

pub(crate) fn read_reporter(reader: &mut Reader<'_>, node: &Node, known: &Known<'_>) -> Option<Reporter> {
    let section = reader.section(&REPORTER, node)?;
    let required = reader.value(&section, "required");
    let on = read_occasions(reader, &section);
    let hold = reader.value(&section, "hold");
    let deadline = reader.value(&section, "deadline");
    let append_to = reader.optional(&section, "append_to").filter(|path: &String| !path.trim().is_empty());
    let plugin = read_plugin_use(reader, &section, known)?;
    Some(Reporter { plugin, required, on, hold, deadline, append_to })
}

fn read_occasions(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<Occasion> {
    let written = reader.texts(section, "on");
    if section.table.get("on").is_none() {
        return vec![Occasion::Always];
    }
    let mut on = Vec::new();
    for word in written {
        match Occasion::ALL.into_iter().find(|known| known.word() == word.value) {
            Some(occasion) => on.push(occasion),
            None => {
                let help = suggest::suggestion(&word.value, Occasion::ALL.iter().map(|known| known.word()));
                reader.report(word.span, format!("`{}` is no occasion to tell something", word.value), help);
            }
        }
    }
    on
}
