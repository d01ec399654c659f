//! How far a matrix is, and how long the rest may take: what is planned, and how much more or less the cells so far have taken.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{CellsPlan, PlannedCell, rounded};
use crate::report::{CellState, CellsStory, Summary};
use crate::terminal::{BAD, DOUBT, FAINT, GOOD, STRONG, count, rate, seconds};

/// How far it is.
pub(super) struct Progress {
    pause: Duration,
    /// What is planned for each cell that has not ended, by number.
    open: BTreeMap<u32, Duration>,
    total: usize,
    /// What was planned for the cells that have ended, and what they took, in seconds.
    ended: Vec<(f64, f64)>,
    running: Option<Instant>,
}

impl Progress {
    pub(super) fn new(plan: &CellsPlan, story: &CellsStory) -> Self {
        let mut progress = Self {
            pause: plan.cells_of.pause,
            open: BTreeMap::new(),
            total: plan.cells.len(),
            ended: Vec::new(),
            running: None,
        };
        for cell in &plan.cells {
            let history = story.histories.get(&cell.info.number);
            match history.filter(|it| it.state() == CellState::Finished).and_then(|it| it.took_ns()) {
                Some(ns) => progress.ended.push((cell.planned.as_secs_f64(), ns as f64 / 1e9)),
                None => drop(progress.open.insert(cell.info.number, cell.planned)),
            }
        }
        progress
    }

    /// The time for what is still to do.
    fn left(&self) -> Duration {
        let cells = self.open.len() as f64;
        let planned: f64 = self.open.values().map(Duration::as_secs_f64).sum();
        let more: f64 = self.ended.iter().map(|(planned, took)| took - planned).sum();
        let each = if self.ended.is_empty() { 0.0 } else { more / self.ended.len() as f64 };
        let pauses = self.pause.as_secs_f64() * (cells - 1.0).max(0.0);
        Duration::from_secs_f64((planned + each * cells).max(0.0) + pauses)
    }

    /// A line to be shown when a cell begins.
    pub(super) fn before(&mut self, cell: &PlannedCell) -> String {
        self.running = Some(Instant::now());
        format!(
            "{STRONG}cell {}/{}{STRONG:#}  {}  {FAINT}about {} left{FAINT:#}",
            cell.info.number,
            self.total,
            cell.label,
            rounded(self.left())
        )
    }

    /// A line to be shown when it has ended.
    pub(super) fn after(&mut self, cell: &PlannedCell, state: CellState, folder: &Path) -> String {
        let took = self.running.take().map_or(0.0, |since| since.elapsed().as_secs_f64());
        if let Some(planned) = self.open.remove(&cell.info.number)
            && state == CellState::Finished
        {
            self.ended.push((planned.as_secs_f64(), took));
        }
        let summary = std::fs::read(folder.join("summary.json")).ok();
        let summary: Option<Summary> = summary.and_then(|text| serde_json::from_slice(&text).ok());
        let outcome = summary.as_ref().filter(|_| state == CellState::Finished).map(|it| it.verdict.outcome.as_str());
        let mark = match outcome {
            Some("pass") => format!("{GOOD}✓{GOOD:#} pass"),
            Some("fail") => format!("{BAD}✗{BAD:#} fail"),
            Some(other) => format!("{DOUBT}?{DOUBT:#} {other}"),
            None if state == CellState::Interrupted => format!("{DOUBT}?{DOUBT:#} interrupted"),
            None => format!("{BAD}✗{BAD:#} failed"),
        };
        let figures = summary.as_ref().map(figures).unwrap_or_default();
        format!("{mark}  {}  {FAINT}{}{FAINT:#}{figures}", cell.label, seconds(took))
    }
}

/// A cell's requests in a few words.
fn figures(summary: &Summary) -> String {
    let operations = || summary.scenarios.iter().flat_map(|it| &it.operations);
    let requests: u64 = operations().map(|it| it.count).sum();
    let failed: u64 = operations().map(|it| it.failures).sum();
    if requests == 0 {
        return String::new();
    }
    let per_second: f64 = operations().map(|it| it.rate).sum();
    format!("  {} requests, {} failed, {}", count(requests as f64), count(failed as f64), rate(per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_learns_from_the_cells_so_far() {
        let minutes = |number: u32| Duration::from_secs(60) * number;
        let mut progress = Progress {
            pause: Duration::from_secs(10),
            open: (1..=3).map(|number| (number, minutes(1))).collect(),
            total: 4,
            ended: Vec::new(),
            running: None,
        };
        assert_eq!(progress.left(), minutes(3) + Duration::from_secs(20));
        // Setup and teardown took 15 s more than the load.
        progress.ended.push((60.0, 75.0));
        assert_eq!(progress.left(), minutes(3) + Duration::from_secs(20 + 45));
        // Iterations that were done long before their latest end.
        progress.ended = vec![(60.0, 0.0); 2];
        progress.open.remove(&3);
        assert_eq!(progress.left(), Duration::from_secs(10));
    }
}
