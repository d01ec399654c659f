//! The run before: what reporters compare with.
//!
//! In come a run's folder and identity; out comes what the latest earlier run of the same suite has to say, if its folder
//! stands beside this one's, as it does under `results/<suite>/`. What can't be read is not there.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{CellInfo, PreviousOperation, PreviousSummary, PreviousThreshold, RunInfo, Status, Summary};

/// How many folders are looked into, the latest names first.
const MOST: usize = 50;

/// The part of `run.json` that is looked at.
#[derive(Deserialize)]
struct Identity {
    suite: String,
    start_unix_ns: u64,
    status: Status,
    cell: Option<CellInfo>,
}

/// See the module.
pub(super) fn of(dir: &Path, run: &RunInfo) -> Option<PreviousSummary> {
    let dir = dir.canonicalize().ok()?;
    let beside = fs::read_dir(dir.parent()?).ok()?.flatten().map(|entry| entry.path()).filter(|path| *path != dir);
    let mut beside: Vec<_> = beside.filter(|path| path.join("summary.json").is_file()).collect();
    // A run's identifier begins with its time.
    beside.sort_by(|a, b| b.cmp(a));
    let known = beside.into_iter().take(MOST).filter_map(|path| {
        let identity: Identity = serde_json::from_slice(&fs::read(path.join("run.json")).ok()?).ok()?;
        // Another cell of a matrix is no run before: it measured something else.
        let values = |cell: &Option<CellInfo>| cell.as_ref().map(|cell| cell.values.clone());
        let fits = identity.suite == run.suite
            && values(&identity.cell) == values(&run.cell)
            && identity.start_unix_ns < run.start_unix_ns
            && identity.status == Status::Complete;
        fits.then_some((identity.start_unix_ns, path))
    });
    let (_, latest) = known.max()?;
    let summary: Summary = serde_json::from_slice(&fs::read(latest.join("summary.json")).ok()?).ok()?;
    Some(condense(summary))
}

fn condense(summary: Summary) -> PreviousSummary {
    let thresholds = summary.thresholds.into_iter();
    let operations = summary.scenarios.into_iter().flat_map(|scenario| {
        let name = scenario.name;
        scenario.operations.into_iter().filter_map(move |operation| {
            let p95 = operation.duration?.p95;
            Some(PreviousOperation { scenario: name.clone(), operation: operation.operation, p95 })
        })
    });
    PreviousSummary {
        id: summary.run.id,
        outcome: summary.verdict.outcome,
        thresholds: thresholds
            .filter_map(|it| Some(PreviousThreshold { scenario: it.scenario, text: it.text, value: it.value? }))
            .collect(),
        operations: operations.collect(),
    }
}
