//! A matrix that was gone through: a row per cell.

use super::table::{show, table};
use super::{STRONG, count, out, rate, seconds};
use kperf_results::{CellSummary, CellsSummary, ScenarioSummary, Summary};

/// Prints a table of the cells.
pub(super) fn print(summary: &Summary, cells: &CellsSummary) {
    out(&format!("\n{STRONG}{} cells{STRONG:#}", cells.cells.len()));
    let mut header = vec!["cell"];
    header.extend(cells.axes.iter().map(|axis| axis.name.as_str()));
    header.extend((cells.repeat > 1).then_some("repeat"));
    header.extend(["verdict", "requests", "failed", "rate", "p95", "slowest operation", "took"]);
    let mut table = table(&header);
    for cell in &cells.cells {
        let scenarios: Vec<&ScenarioSummary> =
            summary.scenarios.iter().filter(|it| it.cell == Some(cell.cell.number)).collect();
        table.add_row(row(cell, cells, &scenarios));
    }
    show(&table);
}

fn row(cell: &CellSummary, cells: &CellsSummary, scenarios: &[&ScenarioSummary]) -> Vec<String> {
    let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut row = vec![cell.cell.number.to_string()];
    row.extend(cells.axes.iter().map(|axis| cell.cell.values.get(&axis.name).map(plain).unwrap_or_default()));
    row.extend((cells.repeat > 1).then(|| cell.cell.repeat.to_string()));
    let state = serde_json::to_value(cell.state).map(|state| plain(&state).replace('-', " "));
    row.push(cell.outcome.clone().unwrap_or_else(|| state.unwrap_or_default()));
    let operations = || scenarios.iter().flat_map(|it| &it.operations);
    if operations().next().is_none() {
        row.extend(["-"; 5].map(str::to_owned));
    } else {
        row.push(count(operations().map(|it| it.count).sum::<u64>() as f64));
        row.push(count(operations().map(|it| it.failures).sum::<u64>() as f64));
        row.push(rate(operations().map(|it| it.rate).sum()));
        let timed = operations().filter_map(|it| Some((it.duration?.p95, it.operation.as_str())));
        let slowest = timed.max_by(|a, b| a.0.total_cmp(&b.0));
        row.push(slowest.map_or_else(|| "-".to_owned(), |(p95, _)| seconds(p95)));
        row.push(slowest.map_or_else(|| "-".to_owned(), |(_, name)| name.to_owned()));
    }
    row.push(cell.took.map_or_else(|| "-".to_owned(), seconds));
    row
}
