//! The tables of records of a run: each has a number, which its rows begin with.

use kperf_plugin::{ColumnType, Table};

use kperf_plan::{Plan, PlannedPlugin};
use kperf_results::{ColumnInfo, ColumnKind, SpanInfo, TableInfo};

/// Every table, scenarios' before collectors'; a table's number is its place. Reporters come when the results are written
/// already and keep none.
pub(crate) fn all(plan: &Plan) -> Vec<TableInfo> {
    plugins(plan).flat_map(|it| it.component.description().tables.iter().map(|table| info(it, table))).collect()
}

/// The number of the first table of a plugin, by its place among scenarios and collectors.
pub(crate) fn first(plan: &Plan, place: usize) -> u32 {
    let before: usize = plugins(plan).take(place).map(|it| it.component.description().tables.len()).sum();
    u32::try_from(before).unwrap_or(u32::MAX)
}

fn plugins(plan: &Plan) -> impl Iterator<Item = &PlannedPlugin> {
    plan.scenarios.iter().map(|scenario| &scenario.plugin).chain(&plan.collectors)
}

fn info(planned: &PlannedPlugin, table: &Table) -> TableInfo {
    let place = |name: &str| table.columns.iter().position(|column| column.name == name).unwrap_or(usize::MAX);
    TableInfo {
        source: planned.name.clone(),
        plugin: planned.component.description().name.clone(),
        name: table.name.clone(),
        description: table.description.clone(),
        columns: table
            .columns
            .iter()
            .map(|column| ColumnInfo {
                name: column.name.clone(),
                kind: match column.of {
                    ColumnType::Text => ColumnKind::Text,
                    ColumnType::Integer => ColumnKind::Integer,
                    ColumnType::Number => ColumnKind::Number,
                    ColumnType::Boolean => ColumnKind::Boolean,
                    ColumnType::Instant => ColumnKind::Instant,
                },
                unit: column.unit,
                description: column.description.clone(),
            })
            .collect(),
        span: table.span.as_ref().map(|span| SpanInfo {
            trace: place(&span.trace),
            name: place(&span.name),
            start: place(&span.start),
            end: place(&span.end),
        }),
    }
}
