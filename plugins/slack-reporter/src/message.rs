//! What is said: the answer first, then what it rests on, so that a glance is enough.

use kperf_plugin_sdk::{
    Severity, ThresholdChange,
    quantity::{change as difference, seconds, with_unit},
    summary::{Previous, Summary, Threshold},
};
use serde_json::Value;

use crate::blocks::{button, code, context, header, plain, section};

/// How many operations are shown.
const OPERATIONS: usize = 5;
/// How many thresholds, reasons and incidents are shown.
const LINES: usize = 15;

/// A message.
pub struct Message {
    /// For notifications, and for those who can't see blocks.
    pub text: String,
    /// The message in Block Kit.
    pub blocks: Vec<Value>,
}

/// Says that the run makes load.
pub fn started(suite: &str, run: &str, link: &str) -> Message {
    let text = format!("{} has started", plain(suite));
    let mut blocks = vec![section(&[format!(":arrow_forward: *{}* has started", plain(suite))])];
    blocks.push(context(&format!("run {}", plain(run))));
    open(&mut blocks, link);
    Message { text, blocks }
}

/// Says that a threshold does not hold any more.
pub fn breached(suite: &str, change: &ThresholdChange, mention: &str) -> Message {
    let mark = match change.severity {
        Severity::Critical => ":rotating_light:",
        Severity::Error => ":red_circle:",
        Severity::Warning => ":large_yellow_circle:",
        Severity::Info => ":information_source:",
    };
    said(mark, suite, &format!("{} is breached: {}", place(change), seen(change)), mention)
}

/// Says that a threshold holds again.
pub fn recovered(suite: &str, change: &ThresholdChange) -> Message {
    said(":large_green_circle:", suite, &format!("{} holds again: {}", place(change), seen(change)), "")
}

fn said(mark: &str, suite: &str, what: &str, mention: &str) -> Message {
    let mut lines = vec![format!("{mark} *{}*: {what}", plain(suite))];
    lines.extend(Some(mention.to_owned()).filter(|it| !it.is_empty()));
    Message { text: format!("{}: {what}", plain(suite)), blocks: vec![section(&lines)] }
}

fn place(change: &ThresholdChange) -> String {
    let scenario = if change.scenario.is_empty() { String::new() } else { format!("{}: ", plain(&change.scenario)) };
    format!("{scenario}{}", code(&change.threshold))
}

fn seen(change: &ThresholdChange) -> String {
    let unit = change.unit.word();
    format!("{} (limit {})", with_unit(change.value, unit), with_unit(change.limit, unit))
}

/// Says how the run has ended.
pub fn ended(summary: &Summary, link: &str, mention: &str) -> Message {
    let (mark, outcome) = match summary.verdict.outcome.as_str() {
        _ if summary.interrupted => (":octagonal_sign:", "stopped"),
        _ if summary.verdict.exit_code == 6 => (":octagonal_sign:", "could not start"),
        "pass" => (":white_check_mark:", "pass"),
        "fail" => (":x:", "fail"),
        other => (":grey_question:", other),
    };
    let suite = &summary.run.suite;
    let mut blocks = vec![header(&format!("{mark} {suite}: {outcome}"))];
    let previous = summary.previous.as_ref();
    let before = previous.map(|it| format!(", {} before", plain(&it.outcome))).unwrap_or_default();
    let mention = if outcome == "pass" { "" } else { mention };
    blocks.push(context(&format!("run {}{before} {mention}", plain(&summary.run.id))));
    let mut thresholds: Vec<&Threshold> = summary.thresholds.iter().collect();
    thresholds.sort_by_key(|it| it.outcome == "pass");
    let lines: Vec<String> = thresholds.iter().take(LINES).map(|it| threshold(it, previous)).collect();
    if !lines.is_empty() {
        blocks.push(section(&lines));
    }
    // A breach is among the thresholds already.
    let reasons = summary.verdict.reasons.iter().filter(|reason| reason.kind != "threshold-breached");
    let reasons: Vec<String> = reasons.take(LINES).map(|reason| format!("• {}", plain(&reason.text))).collect();
    if !reasons.is_empty() {
        blocks.push(section(&reasons));
    }
    let operations = worst(summary, previous);
    if !operations.is_empty() {
        blocks.push(section(&operations));
    }
    if outcome == "could not start" {
        let incidents = summary.incidents.iter().take(LINES);
        let lines: Vec<String> = incidents.map(|it| format!("{}: {}", plain(&it.source), plain(&it.message))).collect();
        blocks.push(section(&lines));
    }
    open(&mut blocks, link);
    let breaches = summary.thresholds.iter().filter(|it| it.outcome == "breach").count();
    let text = format!("{}: {outcome}", plain(suite));
    let text =
        if breaches == 0 { text } else { format!("{text}, {breaches} of {} thresholds breached", thresholds.len()) };
    Message { text, blocks }
}

fn threshold(threshold: &Threshold, previous: Option<&Previous>) -> String {
    let mark = match threshold.outcome.as_str() {
        "pass" => ":white_check_mark:",
        "breach" => ":x:",
        _ => ":grey_question:",
    };
    let scenario = threshold.scenario.as_deref().map(|name| format!("{}: ", plain(name))).unwrap_or_default();
    let Some(value) = threshold.value else { return format!("{mark} {scenario}{} no samples", code(&threshold.text)) };
    let before = previous.and_then(|it| it.threshold(threshold)).and_then(|before| difference(before, value));
    let before = before.map(|it| format!(", {it} since the last run")).unwrap_or_default();
    format!("{mark} {scenario}{} *{}*{before}", code(&threshold.text), with_unit(value, &threshold.unit))
}

/// The operations with failures, then the slowest ones.
fn worst(summary: &Summary, previous: Option<&Previous>) -> Vec<String> {
    let all = summary.scenarios.iter().flat_map(|scenario| scenario.operations.iter().map(move |it| (scenario, it)));
    let mut all: Vec<_> = all.filter_map(|(scenario, it)| Some((scenario, it, it.duration?.p95))).collect();
    all.sort_by(|(_, a, slow), (_, b, slower)| b.failures.cmp(&a.failures).then(slower.total_cmp(slow)));
    let line = |(scenario, operation, p95): (_, &kperf_plugin_sdk::summary::Operation, f64)| {
        let scenario: &kperf_plugin_sdk::summary::Scenario = scenario;
        let before = previous.and_then(|it| it.operation(&scenario.name, &operation.operation));
        let before = before.and_then(|before| difference(before, p95)).map(|it| format!(" ({it})")).unwrap_or_default();
        let failed = match operation.failures {
            0 => String::new(),
            failures => format!(", {failures} of {} failed", operation.count),
        };
        format!("{} p95 {}{before}{failed}", code(&operation.operation), seconds(p95))
    };
    all.into_iter().take(OPERATIONS).map(line).collect()
}

fn open(blocks: &mut Vec<Value>, link: &str) {
    if !link.is_empty() {
        blocks.push(button("Open", link));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &Message) -> String {
        Value::from(message.blocks.clone()).to_string()
    }

    #[test]
    fn the_end_says_what_was_breached_and_what_changed() {
        let summary = Summary::read(
            r#"{"run":{"id":"r2","suite":"nightly <1>"},"verdict":{"outcome":"fail","exit_code":3,
              "reasons":[{"kind":"threshold-breached","text":"x"},{"kind":"late-starts","text":"the generator was late"}]},
            "thresholds":[{"text":"b rate < 1%","outcome":"pass","value":0.0,"unit":"ratio"},
              {"scenario":"runs","text":"a p(95) < 1s","outcome":"breach","value":1.5,"unit":"seconds"}],
            "scenarios":[{"name":"runs","operations":[
              {"operation":"fast","count":9,"failures":0,"duration":{"p95":0.1}},
              {"operation":"create_run","count":100,"failures":3,"duration":{"p95":1.5}}]}],
            "previous":{"id":"r1","outcome":"pass","thresholds":[{"scenario":"runs","text":"a p(95) < 1s","value":0.5}],
              "operations":[{"scenario":"runs","operation":"create_run","p95":1.2}]}}"#,
        )
        .unwrap();
        let message = ended(&summary, "https://ci.example/1", "<!here>");
        assert_eq!(message.text, "nightly &lt;1&gt;: fail, 1 of 2 thresholds breached");
        let blocks = text(&message);
        for part in [
            ":x: nightly <1>: fail",
            "run r2, pass before <!here>",
            ":x: runs: `a p(95) &lt; 1s` *1.5 s*, +200 % since the last run\\n:white_check_mark: `b rate",
            "• the generator was late",
            "`create_run` p95 1.5 s (+25 %), 3 of 100 failed\\n`fast` p95 100 ms",
            "https://ci.example/1",
        ] {
            assert!(blocks.contains(part), "{part} is not in {blocks}");
        }
        assert!(!blocks.contains("• x"), "{blocks}");
    }

    #[test]
    fn a_breach_calls_and_a_recovery_does_not() {
        let change = ThresholdChange {
            scenario: "runs".into(),
            threshold: "a p(95) < 1s".into(),
            value: 1.5,
            limit: 1.0,
            unit: kperf_plugin_sdk::Unit::Seconds,
            severity: Severity::Critical,
            at: 0,
        };
        let breach = text(&breached("nightly", &change, "<!here>"));
        assert!(
            breach.contains(
                ":rotating_light: *nightly*: runs: `a p(95) &lt; 1s` is breached: 1.5 s (limit 1 s)\\n<!here>"
            )
        );
        assert!(text(&recovered("nightly", &change)).contains("holds again: 1.5 s (limit 1 s)"));
    }
}
