//! The summary of a run: thresholds first, then checks, then a table of operations that nobody had to ask for.

use super::table::{named, show, table};
use super::{BAD, DOUBT, FAINT, GOOD, STRONG, count, out, seconds};
use kperf_results::{MachineUse, MetricSummary, ScenarioSummary, Spread, Summary, ThresholdOutcome, ThresholdSummary};

/// Prints the summary; the verdict only if `quiet`.
pub fn print(summary: &Summary, quiet: bool) {
    if let Some(cells) = summary.cells.as_ref().filter(|_| !quiet) {
        super::cells::print(summary, cells);
        incidents(summary);
    } else if !quiet {
        let thresholds: Vec<_> = summary.thresholds.iter().collect();
        if !thresholds.is_empty() {
            out(&format!("\n{STRONG}thresholds{STRONG:#}"));
            thresholds.into_iter().for_each(threshold);
        }
        for scenario in &summary.scenarios {
            self::scenario(scenario);
        }
        if !summary.metrics.is_empty() {
            out(&format!("\n{STRONG}collected{STRONG:#}"));
            metrics(&summary.metrics);
        }
        summary.generator.iter().for_each(generator);
        incidents(summary);
    }
    verdict(summary);
}

fn threshold(threshold: &ThresholdSummary) {
    let mark = match threshold.outcome {
        ThresholdOutcome::Pass => format!("{GOOD}✓{GOOD:#}"),
        ThresholdOutcome::Breach => format!("{BAD}✗{BAD:#}"),
        ThresholdOutcome::NoSamples => format!("{DOUBT}?{DOUBT:#}"),
    };
    let of = threshold.scenario.as_ref().map_or_else(String::new, |name| format!("{FAINT}{name}{FAINT:#} "));
    let seen = match threshold.value {
        Some(value) => named(value, &threshold.unit),
        None => "no samples".to_owned(),
    };
    let aborted = if threshold.aborted { ", ended the run" } else { "" };
    out(&format!("  {mark} {of}{}  {FAINT}{seen}{aborted}{FAINT:#}", threshold.text));
}

fn scenario(scenario: &ScenarioSummary) {
    out(&format!(
        "\n{STRONG}{}{STRONG:#}  {FAINT}{} {}, {}, {}{FAINT:#}",
        scenario.name,
        scenario.plugin,
        scenario.mode,
        scenario.executor,
        seconds(scenario.elapsed)
    ));
    let iterations = &scenario.iterations;
    let mut line = format!("  {} iterations, {}/s", count(iterations.count as f64), count(iterations.rate));
    for (number, what) in
        [(iterations.failed, "failed"), (iterations.dropped, "dropped"), (iterations.interrupted, "interrupted")]
    {
        if number > 0 {
            line.push_str(&format!(", {BAD}{} {what}{BAD:#}", count(number as f64)));
        }
    }
    if let Some(duration) = &scenario.iteration_duration {
        line.push_str(&format!("; p50 {}, p95 {}", seconds(duration.p50), seconds(duration.p95)));
    }
    out(&line);
    for failure in &iterations.failures {
        out(&format!("    {BAD}{}{BAD:#} {}", failure.kind, count(failure.count as f64)));
    }
    if let Some(capacity) = &scenario.capacity {
        super::capacity::print(capacity);
    }
    for check in &scenario.checks {
        let total = check.passes + check.fails;
        let mark = if check.fails == 0 { format!("{GOOD}✓{GOOD:#}") } else { format!("{BAD}✗{BAD:#}") };
        out(&format!("  {mark} {}  {FAINT}{} of {total}{FAINT:#}", check.name, check.passes));
    }
    operations(scenario);
    super::spread::print(scenario);
    metrics(&scenario.metrics);
}

/// The figures of a distribution, as the tables have them.
fn spread(spread: Option<&Spread>, figure: impl Fn(f64) -> String) -> Vec<String> {
    let Some(spread) = spread else { return vec!["-".to_owned(); 7] };
    [spread.min, spread.mean, spread.p50, spread.p90, spread.p95, spread.p99, spread.max].map(figure).to_vec()
}

const FIGURES: [&str; 7] = ["min", "mean", "p50", "p90", "p95", "p99", "max"];

fn operations(scenario: &ScenarioSummary) {
    if scenario.operations.is_empty() {
        return;
    }
    let header: Vec<&str> = ["operation", "count", "failed", "rate"].into_iter().chain(FIGURES).collect();
    let mut table = table(&header);
    for operation in &scenario.operations {
        let mut row = vec![
            operation.operation.clone(),
            count(operation.count as f64),
            count(operation.failures as f64),
            format!("{}/s", count(operation.rate)),
        ];
        row.extend(spread(operation.duration.as_ref(), seconds));
        table.add_row(row);
        // Only worth a line when it says something else than the service time.
        if let (Some(response), Some(service)) = (&operation.response_time, &operation.duration)
            && response.p99 > service.p99 * 1.05 + 0.001
        {
            let mut row = vec!["  from due".to_owned(), String::new(), String::new(), String::new()];
            row.extend(spread(Some(response), seconds));
            table.add_row(row);
        }
    }
    show(&table);
}

fn metrics(metrics: &[MetricSummary]) {
    if metrics.is_empty() {
        return;
    }
    let header: Vec<&str> = ["metric", "count", "value"].into_iter().chain(FIGURES).collect();
    let mut table = table(&header);
    let mut any = false;
    for metric in metrics {
        let tags = metric.tags.iter().filter(|(key, _)| !matches!(key.as_str(), "scenario" | "collector"));
        let tags: Vec<String> = tags.map(|(key, value)| format!("{key}={value}")).collect();
        let name = if tags.is_empty() { metric.name.clone() } else { format!("{}{{{}}}", metric.name, tags.join(",")) };
        let number = metric.count.map_or_else(|| "-".to_owned(), |number| count(number as f64));
        match &metric.spread {
            Some(figures) => {
                any = true;
                let mut row = vec![name, number, String::new()];
                row.extend(spread(Some(figures), |value| named(value, &metric.unit)));
                table.add_row(row);
            }
            None => {
                let unit = if metric.kind == "rate" { "ratio" } else { &metric.unit };
                let mut row = vec![name, number, named(metric.value, unit)];
                // Of a gauge that never moved the value says it all.
                if let (Some(min), Some(mean), Some(max)) = (metric.min, metric.mean, metric.max)
                    && min < max
                {
                    any = true;
                    let blank = std::iter::repeat_n(String::new(), FIGURES.len() - 3);
                    row.extend([named(min, unit), named(mean, unit)]);
                    row.extend(blank.chain([named(max, unit)]));
                }
                table.add_row(row);
            }
        }
    }
    if any {
        show(&table);
    } else {
        for metric in table.row_iter().map(|row| row.cell_iter().map(|cell| cell.content()).collect::<Vec<_>>()) {
            out(&format!("  {}", metric.join("  ")));
        }
    }
}

/// What kperf itself and its machine used, in one line.
fn generator(used: &MachineUse) {
    let figure = |value: f64| format!("{value:.2}");
    out(&format!(
        "\n{STRONG}generator{STRONG:#}  {} of {} cores (max {}), {}, {} open files; the machine {:.0} % busy (max {:.0} %){}; \
         network {} in, {} out",
        figure(used.cpu_mean),
        used.cores,
        figure(used.cpu_max),
        named(used.memory_max, "bytes"),
        count(used.open_files_max),
        used.machine_cpu_mean * 100.0,
        used.machine_cpu_max * 100.0,
        if used.memory_short_share > 0.0 {
            format!(", {BAD}short of memory in {:.0} % of seconds{BAD:#}", used.memory_short_share * 100.0)
        } else {
            String::new()
        },
        named(used.network_received, "bytes"),
        named(used.network_sent, "bytes"),
    ));
}

fn incidents(summary: &Summary) {
    if summary.incidents.is_empty() {
        return;
    }
    out(&format!("\n{STRONG}incidents{STRONG:#}"));
    for incident in &summary.incidents {
        out(&format!(
            "  {BAD}{}{BAD:#} {} {FAINT}×{}{FAINT:#}  {}",
            incident.kind,
            incident.source,
            count(incident.count as f64),
            incident.message
        ));
    }
}

fn verdict(summary: &Summary) {
    let (style, word) = match (summary.verdict.outcome.as_str(), summary.verdict.exit_code) {
        ("pass", 0) => (GOOD, "pass"),
        ("fail", _) => (BAD, "fail"),
        ("pass", 130) => (DOUBT, "interrupted"),
        (other, _) => (DOUBT, other),
    };
    out(&format!("\n{STRONG}verdict{STRONG:#} {style}{word}{style:#}"));
    for reason in &summary.verdict.reasons {
        let of = reason.scenario.as_ref().map_or_else(String::new, |name| format!("{name}: "));
        out(&format!("  {of}{}", reason.text));
    }
}
