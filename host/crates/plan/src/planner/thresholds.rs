//! Thresholds against the metrics that there are.

use kperf_metrics::{Builtin, MetricDef};
use kperf_suite::{Diagnostic, Sources};

use super::Planner;
use crate::plan::PlannedThreshold;

impl Planner<'_> {
    /// Checks thresholds against the metrics that there are; `complete` says whether these are all.
    pub(super) fn thresholds(
        &mut self,
        wanted: &[kperf_suite::Threshold],
        metrics: &[MetricDef],
        complete: bool,
        sources: &Sources,
    ) -> Vec<PlannedThreshold> {
        let builtin = Builtin::ALL.iter().map(|builtin| builtin.def());
        let known: Vec<MetricDef> = builtin.chain(metrics.iter().cloned()).collect();
        let mut planned = Vec::new();
        for it in wanted {
            let threshold = &it.expression;
            match known.iter().find(|metric| *metric.name == *threshold.metric()) {
                Some(metric) => match threshold.check(metric) {
                    Ok(()) => planned.push(PlannedThreshold {
                        text: it.text.clone(),
                        threshold: threshold.clone(),
                        abort: it.abort,
                        severity: it.severity,
                        unit: threshold.unit(metric),
                    }),
                    Err(error) => {
                        let span = it.part(sources, error.span);
                        self.diagnostics.push(Diagnostic::new(span, error.message));
                    }
                },
                None if complete => {
                    let names = known.iter().map(|metric| &*metric.name);
                    let help = kperf_suite::suggestion(threshold.metric(), names);
                    let span = it.part(sources, threshold.metric_span());
                    self.report(span, format!("there is no metric `{}`", threshold.metric()), &help);
                }
                None => {}
            }
        }
        planned
    }
}
