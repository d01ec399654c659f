//! `cells.csv`: a row per cell, scenario and operation, for spreadsheets and data frames.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use super::summary::{CellSummary, CellsSummary, Usage};
use crate::{OperationSummary, ScenarioSummary, Summary};

/// Columns after those of the cell and before those of the components.
const FIGURES: [&str; 14] = [
    "scenario",
    "operation",
    "count",
    "passed",
    "failed",
    "rate_per_second",
    "min_ms",
    "mean_ms",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "max_ms",
    "load_seconds",
];

/// Writes the table. A cell without operations has a row without figures, so that it is not missed.
pub(super) fn write(file: File, summary: &Summary) -> io::Result<()> {
    let Some(cells) = &summary.cells else { return Ok(()) };
    let mut table = csv::Writer::from_writer(file);
    let names: BTreeSet<&str> =
        cells.cells.iter().flat_map(|cell| &cell.components).map(|it| it.component.as_str()).collect();
    table.write_record(header(cells, &names))?;
    for cell in &cells.cells {
        let scenarios = summary.scenarios.iter().filter(|it| it.cell == Some(cell.cell.number));
        let rows: Vec<Vec<String>> = scenarios.flat_map(|it| it.operations.iter().map(|of| figures(it, of))).collect();
        let rows = if rows.is_empty() { vec![vec![String::new(); FIGURES.len()]] } else { rows };
        for row in rows {
            let all = about(cell, cells).into_iter().chain(row).chain(used(cell, &names));
            table.write_record(all)?;
        }
    }
    table.flush()
}

fn header(cells: &CellsSummary, components: &BTreeSet<&str>) -> Vec<String> {
    let axes = cells.axes.iter().map(|axis| axis.name.clone());
    let own = ["cell", "repeat"].into_iter().map(str::to_owned).chain(axes);
    let rest = ["state", "verdict", "folder"].into_iter().chain(FIGURES).map(str::to_owned);
    let columns = ["cpu_mean_cores", "cpu_max_cores", "memory_mean_bytes", "memory_max_bytes"];
    let used = components.iter().flat_map(|name| columns.map(|column| format!("{name}_{column}")));
    own.chain(rest).chain(used).collect()
}

fn about(cell: &CellSummary, cells: &CellsSummary) -> Vec<String> {
    let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut row = vec![cell.cell.number.to_string(), cell.cell.repeat.to_string()];
    row.extend(cells.axes.iter().map(|axis| cell.cell.values.get(&axis.name).map(plain).unwrap_or_default()));
    let state = serde_json::to_value(cell.state).map(|state| plain(&state)).unwrap_or_default();
    row.extend([state, cell.outcome.clone().unwrap_or_default(), cell.cell.folder.clone()]);
    row
}

fn figures(scenario: &ScenarioSummary, operation: &OperationSummary) -> Vec<String> {
    // The cell's columns say already what the name has in brackets.
    let name = scenario.name.rsplit_once(" [").map_or(scenario.name.as_str(), |(name, _)| name);
    let mut row = vec![
        name.to_owned(),
        operation.operation.clone(),
        operation.count.to_string(),
        operation.count.saturating_sub(operation.failures).to_string(),
        operation.failures.to_string(),
        short(operation.rate),
    ];
    let times = operation.duration.map(|it| [it.min, it.mean, it.p50, it.p90, it.p95, it.p99, it.max]);
    row.extend((0..7).map(|at| times.and_then(|it| it.get(at).copied()).map_or_else(String::new, |s| short(s * 1e3))));
    row.push(short(scenario.elapsed));
    row
}

fn used(cell: &CellSummary, components: &BTreeSet<&str>) -> Vec<String> {
    let pair = |usage: Option<Usage>, digits: fn(f64) -> String| {
        usage.map_or([String::new(), String::new()], |it| [digits(it.mean), digits(it.max)])
    };
    let of = |name: &&str| {
        let found = cell.components.iter().find(|it| it.component == **name);
        let cpu = pair(found.and_then(|it| it.cpu), short);
        let memory = pair(found.and_then(|it| it.memory), |bytes| format!("{bytes:.0}"));
        cpu.into_iter().chain(memory)
    };
    components.iter().flat_map(of).collect()
}

/// Six decimals at most: a nanosecond, where milliseconds are written.
fn short(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
