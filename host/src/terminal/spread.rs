//! How the values of a tag (tenants, say) spread: a line, and tables of the operations and of the slowest.

use super::table::{named, show, table};
use super::{FAINT, STRONG, count, out, rate, seconds};
use kperf_results::{ScenarioSummary, TagSpread};

/// Prints how a scenario's tag spreads, in its requests and in its metrics; nothing for a single value.
pub(super) fn print(scenario: &ScenarioSummary) {
    if let Some(spread) = scenario.spread.as_ref().filter(|spread| spread.values > 1) {
        let operations = scenario.operations.iter();
        let of_operations = operations.filter_map(|it| Some((it.operation.as_str(), it.spread.as_ref()?)));
        spread_of("", "p95 by operation", of_operations.chain([("all", spread)]), spread, seconds);
    }
    for metric in &scenario.metrics {
        if let Some(spread) = metric.tag_spread.as_ref().filter(|spread| spread.values > 1) {
            let rows = [(metric.name.as_str(), spread)].into_iter();
            spread_of(&format!(" in {}", metric.name), "p95", rows, spread, |value| named(value, &metric.unit));
        }
    }
}

fn spread_of<'a>(
    place: &str,
    title: &str,
    rows: impl Iterator<Item = (&'a str, &'a TagSpread)>,
    whole: &TagSpread,
    figure: impl Fn(f64) -> String,
) {
    let TagSpread { tag, values, fairness_latency, fairness_throughput, .. } = whole;
    out(&format!(
        "  {STRONG}{values} {tag}s{place}{STRONG:#}  fairness {fairness_latency:.3} by latency, {fairness_throughput:.3} by \
         throughput {FAINT}(Jain's index, 1 is even){FAINT:#}"
    ));
    let values = format!("{tag}s");
    let mut spreads = table(&[title, &values, "min", "median", "max", "slowest", "fairness"]);
    for (name, of) in rows {
        let slowest = of.slowest.first().map(|it| it.value.clone()).unwrap_or_default();
        let mut row = vec![name.to_owned(), of.values.to_string()];
        row.extend([of.p95.min, of.p95.median, of.p95.max].map(&figure));
        row.extend([slowest, format!("{:.3}", of.fairness_latency)]);
        spreads.add_row(row);
    }
    show(&spreads);
    let slowest = format!("slowest {tag}s");
    let mut slow = table(&[&slowest, "count", "failed", "rate", "mean", "p95", "max"]);
    for it in &whole.slowest {
        let failed = it.failures.map_or_else(|| "-".to_owned(), |failed| count(failed as f64));
        let mut row = vec![it.value.clone(), count(it.count as f64), failed, rate(it.rate)];
        row.extend([it.mean, it.p95, it.max].map(&figure));
        slow.add_row(row);
    }
    show(&slow);
}
