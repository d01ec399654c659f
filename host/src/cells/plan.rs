//! The cells of a suite, each one found to be right before the first one runs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use kperf_plugin::Engine;
use kperf_schedule::Pacer;
use kperf_suite::{AxisValue, Cell, Cells, Diagnostics, Source, Suite};
use serde_json::Value;

use super::rounded;
use crate::plan::{self, Plan, plural};
use crate::report::CellInfo;

/// A suite's text and how it is to be read, to read it again for each cell.
#[derive(Clone)]
pub struct Reading {
    /// What the text is called in messages.
    pub name: String,
    /// The suite.
    pub text: String,
    /// The folder that its paths are relative to.
    pub folder: PathBuf,
    /// The environment to apply.
    pub environment: Option<String>,
    /// The user's overrides.
    pub sets: Vec<String>,
    /// Looks up a variable of the process environment.
    pub lookup: fn(&str) -> Option<String>,
    /// What loads plugins.
    pub engine: Engine,
    /// How many cores there are.
    pub cores: u32,
    /// How many worker threads the user wants.
    pub workers: Option<u32>,
    /// Whether plugins outside the sandbox may be loaded.
    pub allow_native: bool,
}

/// What is wrong with a cell.
#[derive(Debug, thiserror::Error)]
#[error("{}", .diagnostics.render(false).trim_end())]
pub struct CellRefused {
    /// Every mistake, with its place.
    pub diagnostics: Diagnostics,
    /// Whether it is only plugins that are at fault, not the suite.
    pub plugins_only: bool,
}

impl Reading {
    /// The suite with further overrides.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn suite(&self, more: &[String]) -> Result<Suite, CellRefused> {
        let sets: Vec<String> = self.sets.iter().chain(more).cloned().collect();
        let options =
            kperf_suite::LoadOptions { environment: self.environment.as_deref(), sets: &sets, lookup: &self.lookup };
        kperf_suite::load(Source { name: &self.name, text: &self.text }, &options)
            .map_err(|diagnostics| CellRefused { diagnostics, plugins_only: false })
    }

    /// The plan of the suite with further overrides.
    ///
    /// # Errors
    /// Every mistake in it, also those that only plugins and files reveal.
    pub async fn plan(&self, more: &[String]) -> Result<Plan, CellRefused> {
        plan::make(self.suite(more)?, &self.folder, &self.engine, self.cores, self.workers, self.allow_native)
            .await
            .map_err(|plan::Refused { diagnostics, plugins_only }| CellRefused { diagnostics, plugins_only })
    }
}

/// The cells that will run.
pub struct CellsPlan {
    /// How the suite is read.
    pub reading: Reading,
    /// The plan of the first cell.
    pub first: Plan,
    /// How they are gone through.
    pub cells_of: Cells,
    /// All of them in the order in which they run.
    pub cells: Vec<PlannedCell>,
}

/// A cell that is ready to run.
pub struct PlannedCell {
    /// Which one.
    pub info: CellInfo,
    /// Its combination for people.
    pub label: String,
    /// The overrides that make the suite this cell's.
    pub sets: Vec<String>,
    /// How long load is made at the most.
    pub planned: Duration,
}

impl CellsPlan {
    /// Plans every cell.
    ///
    /// # Errors
    /// What is wrong with the first cell that is, and which one it is.
    pub async fn make(reading: Reading, first: Plan, cells_of: Cells) -> Result<Self, (CellRefused, String)> {
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
                None => planned_time(&reading.plan(&sets).await.map_err(|refused| (refused, label.clone()))?),
            };
            cells.push(PlannedCell { info, label, sets, planned });
        }
        Ok(Self { reading, first, cells_of, cells })
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
