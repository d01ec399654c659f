//! How far a matrix is, and how long the rest may take: what is planned, and how much more or less the cells so far have taken.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kperf_results::{CellState, MatrixState};

use super::{MatrixPlan, PlannedCell};

/// How far it is.
pub(super) struct Progress {
    pause: Duration,
    /// What is planned for each cell that has not ended, by number.
    open: BTreeMap<u32, Duration>,
    /// What was planned for the cells that have ended, and what they took, in seconds.
    ended: Vec<(f64, f64)>,
    running: Option<Instant>,
}

impl Progress {
    pub(super) fn new(plan: &MatrixPlan, state: &MatrixState) -> Self {
        let mut progress = Self { pause: plan.cells_of.pause, open: BTreeMap::new(), ended: Vec::new(), running: None };
        for cell in &plan.cells {
            let history = state.histories.get(&cell.info.number);
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

    /// A cell begins; gives the time for what is still to do.
    pub(super) fn began(&mut self) -> Duration {
        self.running = Some(Instant::now());
        self.left()
    }

    /// A cell has ended; gives how long it took.
    pub(super) fn ended(&mut self, cell: &PlannedCell, state: CellState) -> Duration {
        let took = self.running.take().map_or(Duration::ZERO, |since| since.elapsed());
        if let Some(planned) = self.open.remove(&cell.info.number)
            && state == CellState::Finished
        {
            self.ended.push((planned.as_secs_f64(), took.as_secs_f64()));
        }
        took
    }
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
