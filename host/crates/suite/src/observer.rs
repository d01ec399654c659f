//! `[[collector]]` and `[[reporter]]`: plugins that watch the run and tell about it.

use std::time::Duration;

use crate::{
    node::Node,
    plugin_use::{self, Known, PluginUse, read_plugin_use},
    reader::Reader,
    spec::{KeySpec, Kind, Need, SOME_DURATION, TableSpec},
};

/// A plugin that observes the system under test.
#[derive(Clone, Debug)]
pub struct Collector {
    /// The plugin, its target and grants.
    pub plugin: PluginUse,
    /// From one observation to the next.
    pub interval: Duration,
}

/// A plugin that tells somebody about the result.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// The plugin, its target and grants.
    pub plugin: PluginUse,
    /// Whether the run counts as failed if the reporter does.
    pub required: bool,
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
        plugin_use::ALLOW_HOSTS,
        plugin_use::CREDENTIALS,
        plugin_use::LIMITS_KEY,
    ],
};

pub(crate) fn read_collector(reader: &mut Reader<'_>, node: &Node, known: &Known<'_>) -> Option<Collector> {
    let section = reader.section(&COLLECTOR, node)?;
    let interval = reader.value(&section, "interval");
    Some(Collector { plugin: read_plugin_use(reader, &section, known)?, interval })
}

pub(crate) fn read_reporter(reader: &mut Reader<'_>, node: &Node, known: &Known<'_>) -> Option<Reporter> {
    let section = reader.section(&REPORTER, node)?;
    let required = reader.value(&section, "required");
    Some(Reporter { plugin: read_plugin_use(reader, &section, known)?, required })
}
