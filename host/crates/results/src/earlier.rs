//! The run before: what reporters compare with.
//!
//! In come a run's folder and identity; out comes what the latest earlier run of the same suite has to say, if its folder
//! stands beside this one's, as it does under `results/<suite>/`. What can't be read is not there.

use std::fs;

use serde::Deserialize;

use crate::{CellInfo, PreviousOperation, PreviousSummary, PreviousThreshold, RunFolder, RunInfo, Status, Summary};

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

/// The latest earlier run beside the one in `folder`; none if there is none that can be read.
pub(crate) fn of(folder: &RunFolder, run: &RunInfo) -> Option<PreviousSummary> {
    let own = folder.path().canonicalize().ok()?;
    let beside = fs::read_dir(own.parent()?).ok()?.flatten().map(|entry| entry.path()).filter(|path| *path != own);
    let mut beside: Vec<_> = beside.map(RunFolder::new).filter(|folder| folder.summary().is_file()).collect();
    // A run's identifier begins with its time.
    beside.sort_by(|a, b| b.path().cmp(a.path()));
    let known = beside.into_iter().take(MOST).filter_map(|folder| {
        let identity: Identity = serde_json::from_slice(&fs::read(folder.run_info()).ok()?).ok()?;
        // Another cell of a matrix is no run before: it measured something else.
        let values = |cell: &Option<CellInfo>| cell.as_ref().map(|cell| cell.values.clone());
        let fits = identity.suite == run.suite
            && values(&identity.cell) == values(&run.cell)
            && identity.start_unix_ns < run.start_unix_ns
            && identity.status == Status::Complete;
        fits.then_some((identity.start_unix_ns, folder))
    });
    let (_, latest) = known.max_by_key(|(start, folder)| (*start, folder.path().to_owned()))?;
    let summary: Summary = serde_json::from_slice(&fs::read(latest.summary()).ok()?).ok()?;
    Some(summarise(summary))
}

fn summarise(summary: Summary) -> PreviousSummary {
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
