//! `[limits]`: what a plugin may use before the host stops it.

use std::time::Duration;

use kperf_schedule::Rate;

use crate::{
    keys::{COUNT, KeySpec, Kind, Need, Reader, SOME_DURATION, Section, TableSpec, Typed},
    text::Node,
    values::Size,
};

/// What one instance of a plugin may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Linear memory.
    pub memory: Size,
    /// The longest stretch of guest code without waiting.
    pub cpu: Duration,
    /// Samples per second of a plugin; more are dropped and counted.
    pub samples: Rate,
    /// Log lines per second of a plugin; more are dropped and counted.
    pub log_lines: Rate,
    /// Distinct series (metric and tags) of a plugin.
    pub series: u32,
    /// The state that `setup` hands to the instances.
    pub state: Size,
}

pub(crate) const LIMITS: TableSpec = TableSpec {
    title: "[limits]",
    doc: "What a plugin may use before the host stops it. The table at the top holds for every plugin; a `limits` table in a \
          scenario, collector or reporter changes single keys for it.",
    keys: &[
        KeySpec::new("memory", Kind::Size, Need::Default("256MiB"), "Linear memory of an instance."),
        KeySpec::new("cpu", SOME_DURATION, Need::Default("1s"), "The longest stretch of guest code without waiting."),
        KeySpec::new(
            "samples",
            Kind::Rate { positive: true },
            Need::Default("100000/s"),
            "Samples of the plugin's own; more are dropped and counted, and make the verdict inconclusive.",
        ),
        KeySpec::new(
            "log_lines",
            Kind::Rate { positive: true },
            Need::Default("100/s"),
            "Log lines; more are dropped and counted.",
        ),
        KeySpec::new("series", COUNT, Need::Default("10000"), "Distinct combinations of metric and tags."),
        KeySpec::new("state", Kind::Size, Need::Default("1MiB"), "The state that `setup` hands to the instances."),
    ],
};

/// The limits written in `node`; for keys that are not, those of `base`, or without one the defaults.
pub(crate) fn read_limits(reader: &mut Reader<'_>, node: &Node, base: Option<&Limits>) -> Option<Limits> {
    let section = reader.section(&LIMITS, node)?;
    Some(Limits {
        memory: read_limit(reader, &section, "memory", base.map(|base| base.memory)),
        cpu: read_limit(reader, &section, "cpu", base.map(|base| base.cpu)),
        samples: read_limit(reader, &section, "samples", base.map(|base| base.samples)),
        log_lines: read_limit(reader, &section, "log_lines", base.map(|base| base.log_lines)),
        series: read_limit(reader, &section, "series", base.map(|base| base.series)),
        state: read_limit(reader, &section, "state", base.map(|base| base.state)),
    })
}

fn read_limit<T: Typed + Default>(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    name: &'static str,
    base: Option<T>,
) -> T {
    match (section.table.get(name), base) {
        (None, Some(base)) => base,
        _ => reader.value(section, name),
    }
}
