//! Removing what a scenario has created, by its ledger: at the end of a run, and long after one that was killed.

use std::collections::BTreeMap;
use std::time::Duration;

use kperf_plugin::{Book, Entry, LedgerError, Runner};

use crate::terminal::{Display, Removal};

/// Entries of one call.
const BATCH: usize = 1000;

/// How many things of each kind.
pub(super) type Kinds = BTreeMap<String, u64>;

/// What came of it.
#[derive(Debug, Default)]
pub struct Removed {
    /// What is gone, by kind.
    pub gone: Kinds,
    /// What is still there, by kind.
    pub left: Kinds,
    /// What the plugin said last, or what became of it, if anything went wrong.
    pub error: Option<String>,
}

/// Hands what is open to the plugin, the latest first, until nothing is left or a call removes nothing. What a call leaves is
/// tried again once all others have had their turn: it may have waited for them. What `cleanup` itself creates is not
/// removed, so that this comes to an end.
///
/// # Errors
/// When the ledger can't be read.
pub(super) async fn remove(
    runner: &Runner,
    book: &Book,
    scenario: &str,
    display: &Display,
) -> Result<Removed, LedgerError> {
    let entries = book.entries()?;
    let all = kinds(&entries);
    let before = book.removed_so_far();
    let mut shown = Removal::new(display, scenario, entries.len() as u64);
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    let mut work = std::pin::pin!(hand_over(runner, book, entries));
    let (left, error) = loop {
        tokio::select! {
            biased;
            ended = &mut work => break ended,
            _ = ticks.tick() => shown.show(book.removed_so_far() - before),
        }
    };
    shown.finish();
    let left = kinds(&left);
    let gone = all.into_iter().filter_map(|(kind, count)| {
        let gone = count - left.get(&kind).copied().unwrap_or(0);
        (gone > 0).then_some((kind, gone))
    });
    Ok(Removed { gone: gone.collect(), left, error })
}

/// Gives what is left, and the last error.
async fn hand_over(runner: &Runner, book: &Book, mut entries: Vec<Entry>) -> (Vec<Entry>, Option<String>) {
    let mut error = None;
    loop {
        let mut left = Vec::new();
        let mut batches = entries.chunks(BATCH);
        while let Some(batch) = batches.next() {
            let called = runner.cleanup(batch.to_vec()).await;
            error = called.err().map(|error| error.to_string()).or(error);
            let still: Vec<Entry> = batch.iter().filter(|entry| book.is_open(entry.number)).cloned().collect();
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

fn kinds(entries: &[Entry]) -> Kinds {
    let mut kinds = Kinds::new();
    for entry in entries {
        *kinds.entry(entry.kind.clone()).or_default() += 1;
    }
    kinds
}

/// Kinds that are named; a plugin may have made up any number.
const NAMED: usize = 12;

/// `37 runs, 1 pipeline`: kinds are English nouns of the plugins' own.
pub fn list(kinds: &Kinds) -> String {
    let name = |kind: &str| -> String { kind.chars().map(|c| if c.is_control() { '?' } else { c }).collect() };
    let mut parts: Vec<String> =
        kinds.iter().take(NAMED).map(|(kind, &count)| format!("{count} {}", plural(&name(kind), count))).collect();
    let others: u64 = kinds.values().skip(NAMED).sum();
    if others > 0 {
        parts.push(format!("{others} of other kinds"));
    }
    parts.join(", ")
}

/// `run`, `runs`; a word that ends in `s` stays as it is.
fn plural(word: &str, count: u64) -> String {
    let ending = if count == 1 || word.ends_with('s') { "" } else { "s" };
    format!("{word}{ending}")
}
