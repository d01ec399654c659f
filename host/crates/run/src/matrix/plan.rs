//! The cells of a suite, each one found to be right before the first one runs.

use std::fmt::Write as _;
use std::time::Duration;

use kperf_plan::{Plan, PlanError, SuiteInput, plural};
use kperf_results::CellInfo;
use kperf_schedule::Pacer;
use kperf_suite::{AxisValue, Cell, Cells};
use serde_json::Value;

/// The cells that will run.
pub struct MatrixPlan {
    /// How the suite is read.
    pub input: SuiteInput,
    /// The plan of the first cell.
    pub first: Plan,
    /// How they are gone through.
    pub cells_of: Cells,
    /// All of them in the order in which they run.
    pub cells: Vec<PlannedCell>,
}

/// A cell that is ready to run.
pub struct PlannedCell {
    /// The cell, with its number and values.
    pub info: CellInfo,
    /// Its combination for people.
    pub label: String,
    /// The overrides that make the suite this cell's.
    pub sets: Vec<String>,
    /// How long load is made at the most.
    pub planned: Duration,
}

impl MatrixPlan {
    /// Plans every cell.
    ///
    /// # Errors
    /// What is wrong with the first cell that is, and which one it is.
    pub async fn make(input: SuiteInput, first: Plan, cells_of: Cells) -> Result<Self, (PlanError, String)> {
        let all = cells_of.cells();
        let combinations = all.len() / cells_of.repeat.max(1) as usize;
        let width = all.len().to_string().len().max(2);
        let mut cells: Vec<PlannedCell> = Vec::with_capacity(all.len());
        for cell in &all {
            let info = info(cell, width, cells_of.repeat);
            let label = info.label(cells_of.repeat);
            let sets = cell.sets();
            // A further round through the matrix has the same plans.
            let known = (cell.number as usize).checked_sub(combinations + 1).and_then(|at| cells.get(at));
            let planned = match known {
                Some(known) => known.planned,
                None => planned_time(&input.plan(&sets).await.map_err(|error| (error, label.clone()))?),
            };
            cells.push(PlannedCell { info, label, sets, planned });
        }
        Ok(Self { input, first, cells_of, cells })
    }

    /// The plan for people.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = self.first.show();
        let Cells { pause, repeat, before, after, hook_timeout, .. } = &self.cells_of;
        let count = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        let all: Duration =
            self.cells.iter().map(|cell| cell.planned).sum::<Duration>() + *pause * count.saturating_sub(1);
        let _ = write!(text, "\n\n{}, one after the other; what is above is the first\n", plural(count, "cell"));
        let width = self.cells.iter().map(|cell| cell.label.chars().count()).max().unwrap_or(0);
        for PlannedCell { info, label, planned, .. } in &self.cells {
            let _ = writeln!(text, "  {:>3}  {label:width$}  {}", info.number, rounded(*planned));
        }
        let _ = writeln!(text, "  together  {} of load and pauses, at the most", rounded(all));
        if !pause.is_zero() {
            let _ = writeln!(text, "  pause     {} between two cells", kperf_suite::DurationText(*pause));
        }
        if *repeat > 1 {
            let _ = writeln!(text, "  repeat    {repeat} times through the matrix");
        }
        for (when, command) in [("before", before), ("after", after)] {
            if !command.is_empty() {
                let limit = kperf_suite::DurationText(*hook_timeout);
                let _ = writeln!(text, "  {when:9} {}, within {limit}", command.join(" "));
            }
        }
        text.trim_end().to_owned()
    }
}

/// From the start of load to its planned end.
#[must_use]
pub fn planned_time(plan: &Plan) -> Duration {
    let ends = plan.scenarios.iter().map(|it| it.schedule.start + Pacer::new(&it.schedule.executor).total_duration());
    ends.max().unwrap_or_default()
}

/// A value of an axis for the results.
pub(super) fn json(value: &AxisValue) -> Value {
    match value {
        AxisValue::Text(text) => Value::from(text.as_str()),
        AxisValue::Integer(number) => Value::from(*number),
        AxisValue::Float(number) => Value::from(*number),
        AxisValue::Bool(yes) => Value::from(*yes),
    }
}

fn info(cell: &Cell, width: usize, rounds: u32) -> CellInfo {
    let mut info = CellInfo {
        number: cell.number,
        repeat: cell.repeat,
        values: cell.values.iter().map(|(axis, value)| (axis.clone(), json(value))).collect(),
        folder: String::new(),
    };
    info.folder = folder(&format!("{:0width$}-{}", cell.number, info.label(rounds)));
    info
}

/// A name that every file system takes.
fn folder(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_=,.".contains(c) { c } else { '_' };
    name.chars().take(100).map(plain).collect::<String>().trim_end_matches('.').to_owned()
}

/// A time for people, in whole seconds.
fn rounded(time: Duration) -> kperf_suite::DurationText {
    kperf_suite::DurationText(Duration::from_secs(time.as_secs_f64().round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_name_that_every_file_system_takes() {
        assert_eq!(folder("01-tenants=10,kind=a b/../c"), "01-tenants=10,kind=a_b_.._c");
        assert_eq!(folder(&format!("02-x={}", "y".repeat(500))).len(), 100);
        assert_eq!(folder("3-x=."), "3-x=");
    }
}
