//! Removal: what a scenario has created is taken from its target, by its ledger. At the end of a run, and long after one that was
//! killed.

use std::time::{Duration, Instant};

use kperf_metrics::Incident;
use kperf_plugin::{LedgerEntry, LedgerError, Runner, ScenarioLedger};
use kperf_results::{Kinds, Phase, RemovalProgress, Removed, RunEvent, RunFolder, list_of_kinds};

use super::PreparedScenario;
use crate::stream::EventStream;

/// The removal of what all scenarios have created.
pub(crate) struct Removal<'a> {
    pub(crate) stream: &'a EventStream,
    pub(crate) folder: &'a RunFolder,
}

impl Removal<'_> {
    /// Removes what the ledger knows to be on the targets; what can't be removed is an incident.
    pub(crate) async fn run(&self, scenarios: &[PreparedScenario<'_>]) {
        for scenario in scenarios.iter().filter(|scenario| scenario.ledger.open() > 0) {
            let mut tell = |progress| self.stream.emit(RunEvent::Removal(progress));
            match remove(&scenario.runner, &scenario.ledger, scenario.name(), &mut tell).await {
                Ok(removed) if removed.left.is_empty() => {}
                Ok(removed) => {
                    let because = removed.error.map(|error| format!(" ({error})")).unwrap_or_default();
                    let (left, folder) = (list_of_kinds(&removed.left), self.folder.path().display());
                    let message =
                        format!("{left} still on the target{because}; `kperf-host cleanup {folder}` tries again");
                    self.left_behind(scenario, message, removed.left.values().sum());
                }
                Err(error) => self.left_behind(scenario, error.to_string(), scenario.ledger.open() as u64),
            }
        }
    }

    fn left_behind(&self, scenario: &PreparedScenario<'_>, message: String, count: u64) {
        let (source, kind) = (scenario.name().to_owned(), "left-behind".to_owned());
        let incident = Incident { source, kind, message, count };
        self.stream.emit(RunEvent::PhaseFailed { phase: Phase::Removal, incident });
    }
}

/// Entries of one call.
const BATCH: usize = 1000;

/// Hands what is open to the plugin, the latest first, until nothing is left or a call removes nothing. What a call leaves is
/// tried again once all others have had their turn: it may have waited for them. What `cleanup` itself creates is not
/// removed, so that this comes to an end.
///
/// # Errors
/// When the ledger can't be read.
pub(crate) async fn remove(
    runner: &Runner,
    ledger: &ScenarioLedger,
    scenario: &str,
    tell: &mut dyn FnMut(RemovalProgress),
) -> Result<Removed, LedgerError> {
    let started = Instant::now();
    let entries = ledger.entries()?;
    let all = kinds(&entries);
    let before = ledger.removed_so_far();
    let (name, total) = (|| scenario.to_owned(), entries.len() as u64);
    tell(RemovalProgress::Began { scenario: name(), total });
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    let mut work = std::pin::pin!(hand_over(runner, ledger, entries));
    let (left, error) = loop {
        tokio::select! {
            biased;
            ended = &mut work => break ended,
            _ = ticks.tick() => {
                let removed = ledger.removed_so_far() - before;
                tell(RemovalProgress::Going { scenario: name(), removed, total });
            }
        }
    };
    let left = kinds(&left);
    let gone = all.into_iter().filter_map(|(kind, count)| {
        let gone = count - left.get(&kind).copied().unwrap_or(0);
        (gone > 0).then_some((kind, gone))
    });
    let removed = Removed { gone: gone.collect(), left, error };
    tell(RemovalProgress::Ended { scenario: name(), removed: removed.clone(), took: started.elapsed() });
    Ok(removed)
}

/// Gives what is left, and the last error.
async fn hand_over(
    runner: &Runner,
    ledger: &ScenarioLedger,
    mut entries: Vec<LedgerEntry>,
) -> (Vec<LedgerEntry>, Option<String>) {
    let mut error = None;
    loop {
        let mut left = Vec::new();
        let mut batches = entries.chunks(BATCH);
        while let Some(batch) = batches.next() {
            let called = runner.cleanup(batch.to_vec()).await;
            error = called.err().map(|error| error.to_string()).or(error);
            let still: Vec<LedgerEntry> = batch.iter().filter(|entry| ledger.is_open(entry.number)).cloned().collect();
            let stuck = still.len() == batch.len();
            left.extend(still);
            if stuck {
                left.extend(batches.flatten().cloned());
                return (left, error);
            }
        }
        if left.is_empty() {
            return (left, None);
        }
        entries = left;
    }
}

fn kinds(entries: &[LedgerEntry]) -> Kinds {
    let mut kinds = Kinds::new();
    for entry in entries {
        *kinds.entry(entry.kind.clone()).or_default() += 1;
    }
    kinds
}
