//! Thresholds while load is made. Pure.

use kperf_metrics::{Evaluation, ThresholdChange, ThresholdState};
use kperf_plan::PlannedThreshold;
use kperf_results::Fold;

/// A threshold and how it stood last.
pub(crate) struct Judged<'a> {
    threshold: &'a PlannedThreshold,
    breached: bool,
}

impl<'a> Judged<'a> {
    pub(crate) fn all(thresholds: &'a [PlannedThreshold]) -> Vec<Self> {
        thresholds.iter().map(|threshold| Self { threshold, breached: false }).collect()
    }
}

/// Judges thresholds on what a run has come to so far; gives those that changed their state, and those that end the run. Each group
/// has the name of its scenario, empty for those of the whole suite.
pub(crate) fn judge<'t, 'a: 't>(
    fold: &Fold,
    groups: impl Iterator<Item = (&'t str, &'t mut Vec<Judged<'a>>)>,
    unix_ns: u64,
) -> Vec<ThresholdChange> {
    let mut changes = Vec::new();
    for (scenario, thresholds) in groups {
        let elapsed = if scenario.is_empty() { fold.times().whole() } else { fold.times().of(scenario).elapsed };
        for judged in thresholds {
            let PlannedThreshold { text, threshold, severity, unit, abort } = judged.threshold;
            let (breached, value) = match threshold.evaluate(fold.totals(), elapsed) {
                Evaluation::Pass(value) => (false, value),
                Evaluation::Breach(value) => (true, value),
                Evaluation::NoSamples => continue,
            };
            let aborts = breached && abort.is_some_and(|after| elapsed >= after);
            if breached == judged.breached && !aborts {
                continue;
            }
            judged.breached = breached;
            changes.push(ThresholdChange {
                scenario: scenario.to_owned(),
                threshold: text.clone(),
                state: match (aborts, breached) {
                    (true, _) => ThresholdState::Aborted,
                    (false, true) => ThresholdState::Breached,
                    (false, false) => ThresholdState::Recovered,
                },
                value,
                limit: threshold.bound(),
                unit: *unit,
                severity: *severity,
                unix_ns,
            });
        }
    }
    changes
}
