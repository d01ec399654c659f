//! What the plugin says of itself.

use kperf_plugin_sdk::{ColumnType, Description, MetricKind, Table, Unit};

use crate::sets::READY;

/// The schema of the parameters.
pub const PARAMETERS: &str = include_str!("parameters.schema.json");

/// The columns of `windows`, in the order of the rows.
const COLUMNS: &[(&str, ColumnType, &str)] = &[
    ("window", ColumnType::Text, "The scenario, or nothing for the whole run"),
    ("metric", ColumnType::Text, "The query's name"),
    ("labels", ColumnType::Text, "The labels that are kept"),
    ("start", ColumnType::Instant, "Where the window begins"),
    ("end", ColumnType::Instant, "Where it ends"),
    ("avg", ColumnType::Number, "The average of the points; of an instant query, its value"),
    ("min", ColumnType::Number, "The smallest point"),
    ("max", ColumnType::Number, "The largest point"),
    ("increase", ColumnType::Number, "How far a counter rose, its resets taken into account"),
    ("points", ColumnType::Integer, "How many points there are"),
    ("missing", ColumnType::Integer, "How many more there would be without gaps"),
];

/// Modes with their parameters, metrics and tables.
pub fn description() -> Description {
    let description = Description::new(
        "prometheus-collector",
        env!("CARGO_PKG_VERSION"),
        "Takes the points of PromQL queries while load runs",
    );
    let description = description.mode("queries", "Named queries, ready sets of them or your own", PARAMETERS);
    let table = Table::new("windows", "A row per scenario, query and series: figures over the time in which load ran");
    let description = description
        .table(COLUMNS.iter().fold(table, |table, (name, of, text)| table.column(name, *of, Unit::None, text)));
    READY.iter().fold(description, |description, ready| {
        description.metric(ready.name, MetricKind::Gauge, ready.unit, ready.description)
    })
}

/// How many columns a row has.
#[cfg(test)]
pub fn columns() -> usize {
    COLUMNS.len()
}
