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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kperf_metrics::{Builtin, Registry, Severity, Shard, Tags, Threshold, Unit};
    use kperf_results::{Merged, RunEvent, ScenarioChange};

    use super::*;
    use crate::header::tests::header;

    const START: u64 = 1_700_000_000_000_000_000;

    /// A threshold of the scenario `a` that ends the run once load was made for two seconds.
    fn threshold() -> PlannedThreshold {
        let text = "http_req_failed rate < 10%";
        PlannedThreshold {
            text: text.to_owned(),
            threshold: Threshold::parse(text).unwrap().within("scenario", "a"),
            abort: Some(Duration::from_secs(2)),
            severity: Severity::Critical,
            unit: Unit::Ratio,
        }
    }

    #[test]
    fn a_breach_is_told_once_and_ends_the_run_when_it_may() {
        let registry = Registry::default();
        let failed = registry.series(Builtin::HttpReqFailed.into(), Tags::new([("scenario", "a")])).unwrap();
        let mut fold = Fold::new(header(START), registry.clone());
        let mut shard = Shard::new(registry.clone(), START);
        let planned = [threshold()];
        let mut judged = Judged::all(&planned);
        let mut second = |number: u64, failures: u32, fold: &mut Fold| {
            (0..10).for_each(|at| shard.rate(failed, at < failures));
            let interval = shard.take(START + number * 1_000_000_000);
            fold.apply(&RunEvent::Merged(Merged { registry: registry.clone(), interval }));
            let changes = judge(fold, [("a", &mut judged)].into_iter(), number);
            changes.into_iter().map(|it| (it.state, it.value, it.limit, it.unix_ns)).collect::<Vec<_>>()
        };
        let started = ScenarioChange::Started { scenario: "a".into(), unix_ns: START };
        fold.apply(&RunEvent::Scenario(started));
        assert_eq!(second(1, 2, &mut fold), [(ThresholdState::Breached, 0.2, 0.1, 1)], "too early to end the run");
        assert_eq!(second(2, 0, &mut fold), [(ThresholdState::Aborted, 0.1, 0.1, 2)]);
        assert_eq!(second(3, 0, &mut fold), [(ThresholdState::Recovered, 2.0 / 30.0, 0.1, 3)]);
        assert_eq!(second(4, 0, &mut fold), []);
    }

    #[test]
    fn without_samples_nothing_is_said() {
        let (planned, fold) = ([threshold()], Fold::new(header(START), Registry::default()));
        let mut judged = Judged::all(&planned);
        assert_eq!(judge(&fold, [("a", &mut judged)].into_iter(), 1), []);
    }
}
