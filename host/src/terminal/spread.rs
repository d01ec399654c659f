//! How the values of a tag (tenants, say) spread: a line, and tables of the operations and of the slowest.

use super::summary::{show, table};
use super::{FAINT, STRONG, count, out, rate, seconds};
use crate::report::{ScenarioSummary, TagSpread};

/// Prints how a scenario's tag spreads; nothing for a single value.
pub(super) fn print(scenario: &ScenarioSummary) {
    let Some(spread) = scenario.spread.as_ref().filter(|spread| spread.values > 1) else { return };
    let TagSpread { tag, values, fairness_latency, fairness_throughput, .. } = spread;
    out(&format!(
        "  {STRONG}{values} {tag}s{STRONG:#}  fairness {fairness_latency:.3} by latency, {fairness_throughput:.3} by \
         throughput {FAINT}(Jain's index, 1 is even){FAINT:#}"
    ));
    let values = format!("{tag}s");
    let mut operations = table(&["p95 by operation", &values, "min", "median", "max", "slowest", "fairness"]);
    let mut add = |name: &str, of: &TagSpread| {
        let slowest = of.slowest.first().map(|it| it.value.clone()).unwrap_or_default();
        let mut row = vec![name.to_owned(), of.values.to_string()];
        row.extend([of.p95.min, of.p95.median, of.p95.max].map(seconds));
        row.extend([slowest, format!("{:.3}", of.fairness_latency)]);
        operations.add_row(row);
    };
    for operation in &scenario.operations {
        if let Some(of) = &operation.spread {
            add(&operation.operation, of);
        }
    }
    add("all", spread);
    show(&operations);
    let slowest = format!("slowest {tag}s");
    let mut slow = table(&[&slowest, "count", "failed", "rate", "mean", "p95", "max"]);
    for it in &spread.slowest {
        let mut row = vec![it.value.clone(), count(it.count as f64), count(it.failures as f64), rate(it.rate)];
        row.extend([it.mean, it.p95, it.max].map(seconds));
        slow.add_row(row);
    }
    show(&slow);
}
