//! The document: the answer first, then what it rests on.

use std::fmt::{self, Write};

use kperf_plugin_sdk::{
    quantity::{figure, seconds, with_unit},
    summary::{Metric, Scenario, Spread, Summary},
};

/// The whole document.
pub fn write(summary: &Summary, events: &[String]) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = document(&mut text, summary, events);
    text
}

fn document(out: &mut String, summary: &Summary, events: &[String]) -> fmt::Result {
    let outcome = if summary.verdict.outcome.is_empty() { "unknown" } else { &summary.verdict.outcome };
    writeln!(out, "# {}: {outcome}\n", plain(&summary.run.suite))?;
    writeln!(
        out,
        "Run `{}`{}.",
        summary.run.id,
        if summary.interrupted { ", stopped before it was done" } else { "" }
    )?;
    list(out, "Reasons", summary.verdict.reasons.iter().map(|reason| plain(&reason.text)))?;
    thresholds(out, summary)?;
    for scenario in &summary.scenarios {
        self::scenario(out, scenario)?;
    }
    if !summary.metrics.is_empty() {
        writeln!(out, "\n## Metrics")?;
        metrics(out, &summary.metrics)?;
    }
    let incidents = summary.incidents.iter().map(|incident| {
        format!("{} × {} in {}: {}", incident.count, incident.kind, plain(&incident.source), plain(&incident.message))
    });
    list(out, "Incidents", incidents)?;
    list(out, "Events", events.iter().map(|event| plain(event)))
}

fn list(out: &mut String, title: &str, lines: impl ExactSizeIterator<Item = String>) -> fmt::Result {
    if lines.len() == 0 {
        return Ok(());
    }
    writeln!(out, "\n## {title}\n")?;
    for line in lines {
        writeln!(out, "- {line}")?;
    }
    Ok(())
}

fn thresholds(out: &mut String, summary: &Summary) -> fmt::Result {
    if summary.thresholds.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Thresholds\n\n| | threshold | scenario | seen | before |\n| --- | --- | --- | --- | --- |")?;
    for threshold in &summary.thresholds {
        let mark = match threshold.outcome.as_str() {
            "pass" => "✓",
            "breach" => "✗",
            _ => "?",
        };
        let seen = threshold.value.map_or_else(|| "nothing".to_owned(), |value| with_unit(value, &threshold.unit));
        let scenario = threshold.scenario.as_deref().unwrap_or_default();
        let before = summary.previous.as_ref().and_then(|previous| previous.threshold(threshold));
        let before = before.map_or_else(String::new, |value| with_unit(value, &threshold.unit));
        writeln!(out, "| {mark} | `{}` | {} | {seen} | {before} |", cell(&threshold.text), cell(scenario))?;
    }
    Ok(())
}

fn scenario(out: &mut String, scenario: &Scenario) -> fmt::Result {
    let iterations = &scenario.iterations;
    writeln!(out, "\n## {}\n", plain(&scenario.name))?;
    writeln!(
        out,
        "{}, {}: {} iterations ({}/s), {} failed, {} dropped.",
        plain(&scenario.executor),
        seconds(scenario.elapsed),
        iterations.count,
        figure(iterations.rate),
        iterations.failed,
        iterations.dropped
    )?;
    if let Some(capacity) = &scenario.capacity {
        writeln!(out, "\nCapacity: {}.", plain(&capacity.answer))?;
    }
    if !scenario.operations.is_empty() {
        writeln!(
            out,
            "\n| operation | count | failed | rate | mean | p50 | p95 | p99 | max |\n|{}",
            " --- |".repeat(9)
        )?;
    }
    for operation in &scenario.operations {
        let name = cell(&operation.operation);
        write!(out, "| {name} | {} | {} | {}/s |", operation.count, operation.failures, figure(operation.rate))?;
        let Spread { mean, p50, p95, p99, max, .. } = operation.duration.unwrap_or_default();
        for value in [mean, p50, p95, p99, max] {
            write!(out, " {} |", if operation.duration.is_some() { seconds(value) } else { String::new() })?;
        }
        writeln!(out)?;
    }
    if !scenario.checks.is_empty() {
        writeln!(out, "\n| check | held | did not |\n| --- | --- | --- |")?;
    }
    for check in &scenario.checks {
        writeln!(out, "| {} | {} | {} |", cell(&check.name), check.passes, check.fails)?;
    }
    metrics(out, &scenario.metrics)
}

fn metrics(out: &mut String, metrics: &[Metric]) -> fmt::Result {
    if metrics.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| metric | value | min | p50 | p95 | max |\n|{}", " --- |".repeat(6))?;
    for metric in metrics {
        let tags: Vec<String> = metric.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let tags = if tags.is_empty() { String::new() } else { format!("{{{}}}", tags.join(", ")) };
        let name = cell(&format!("{}{tags}", metric.name));
        write!(out, "| {name} | {} |", with_unit(metric.value, &metric.unit))?;
        let Spread { min, p50, p95, max, .. } = metric.spread.unwrap_or_default();
        for value in [min, p50, p95, max] {
            write!(out, " {} |", if metric.spread.is_some() { with_unit(value, &metric.unit) } else { String::new() })?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Text on one line: what comes from outside must not start a heading or end a list.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    plain(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_answer_and_what_it_rests_on() {
        let summary = r#"{"run":{"id":"r1","suite":"quick"},"verdict":{"outcome":"fail","reasons":[{"text":"too\nslow"}]},
            "thresholds":[{"scenario":"runs","text":"a p(95) < 1s","outcome":"breach","value":1.5,"unit":"seconds"}],
            "scenarios":[{"name":"runs","executor":"constant-vus","elapsed":10.0,
              "capacity":{"answer":"9/s: 9/s held (2 of 2), 9.4/s broke (2 of 2)"},
              "iterations":{"count":20,"rate":2.0,"failed":1,"dropped":0},
              "operations":[{"operation":"create_run","count":20,"failures":1,"rate":2.0,
                "duration":{"count":20,"mean":0.01,"p50":0.01,"p95":0.02,"p99":0.02,"max":0.5}}],
              "checks":[{"name":"a|b","passes":1,"fails":2}],
              "metrics":[{"name":"kfp_run_success","unit":"none","tags":{"k":"v"},"value":0.95}]}],
            "previous":{"id":"r0","thresholds":[{"scenario":"runs","text":"a p(95) < 1s","value":0.5}]},
            "incidents":[{"source":"runs","kind":"trap","message":"unreachable","count":3}],"newer":{}}"#;
        let text = write(&serde_json::from_str(summary).unwrap(), &["after 1.0 s: x".into()]);
        for line in [
            "# quick: fail",
            "- too slow",
            "| ✗ | `a p(95) < 1s` | runs | 1.5 s | 500 ms |",
            "constant-vus, 10 s: 20 iterations (2/s), 1 failed, 0 dropped.",
            "Capacity: 9/s: 9/s held (2 of 2), 9.4/s broke (2 of 2).",
            "| create_run | 20 | 1 | 2/s | 10 ms | 10 ms | 20 ms | 20 ms | 500 ms |",
            "| a\\|b | 1 | 2 |",
            "| kfp_run_success{k=v} | 0.95 | | | | |",
            "- 3 × trap in runs: unreachable",
            "- after 1.0 s: x",
        ] {
            assert!(text.lines().any(|found| found.replace("  ", " ") == line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn an_empty_summary_is_a_short_document() {
        assert_eq!(write(&Summary::default(), &[]), "# : unknown\n\nRun ``.\n");
    }
}
