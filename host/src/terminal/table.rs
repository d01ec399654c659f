//! Tables of figures.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::out;

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for column in table.column_iter_mut() {
        column.set_padding((1, 1));
    }
    table
}

pub(super) fn show(table: &Table) {
    for line in table.lines() {
        out(&format!(" {}", line.trim_end()));
    }
}

/// A value in a unit given by its name.
pub(super) fn named(value: f64, unit: &str) -> String {
    use kperf_metrics::Unit;
    let unit = match unit {
        "seconds" => Unit::Seconds,
        "bytes" => Unit::Bytes,
        "ratio" => Unit::Ratio,
        _ => Unit::None,
    };
    super::quantity(value, unit)
}
