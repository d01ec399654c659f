//! Events as PagerDuty takes them, within its limits.

use kperf_plugin_sdk::{Reporting, Severity, http::SECRET, instant::Instant, quantity::with_unit};
use serde_json::{Value, json};

/// The most characters of a key.
const KEY: usize = 255;
/// The most characters of a summary.
const SUMMARY: usize = 1024;

/// A breach.
pub struct Alert<'a> {
    pub scenario: &'a str,
    pub threshold: &'a str,
    pub value: f64,
    pub limit: f64,
    pub unit: &'a str,
    pub severity: Severity,
    /// When the threshold was breached; none if it was only seen in the result.
    pub at: Option<Instant>,
}

/// The same for the same suite, scenario and threshold, in every run. What is too long ends in a digest of the whole.
pub fn key(suite: &str, scenario: &str, threshold: &str) -> String {
    let whole = format!("kperf/{suite}/{scenario}/{threshold}");
    if whole.chars().count() <= KEY {
        return whole;
    }
    // FNV-1a: it must be the same with every compiler, and nobody gains by a collision.
    let digest = whole
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let start: String = whole.chars().take(KEY - 17).collect();
    format!("{start}~{digest:016x}")
}

/// The event that opens an alert.
pub fn trigger(key: &str, alert: &Alert<'_>, reporting: &Reporting, source: &str, link: &str) -> Value {
    let place = if alert.scenario.is_empty() { &reporting.suite } else { alert.scenario };
    let (value, limit) = (with_unit(alert.value, alert.unit), with_unit(alert.limit, alert.unit));
    let summary = format!("{place}: {} is breached, {value} (limit {limit})", alert.threshold);
    let mut payload = json!({
        "summary": summary.chars().take(SUMMARY).collect::<String>(),
        "source": source,
        // PagerDuty has the same four words.
        "severity": alert.severity.word(),
        "component": place,
        "group": reporting.suite,
        "class": "threshold",
        "custom_details": {
            "suite": reporting.suite,
            "scenario": alert.scenario,
            "threshold": alert.threshold,
            "value": value,
            "limit": limit,
            "run": reporting.run,
        },
    });
    if let (Some(at), Some(payload)) = (alert.at, payload.as_object_mut()) {
        payload.insert("timestamp".into(), json!(at.to_string()));
    }
    let mut event = json!({
        "routing_key": SECRET,
        "event_action": "trigger",
        "dedup_key": key,
        "client": "kperf",
        "payload": payload,
    });
    if let (false, Some(event)) = (link.is_empty(), event.as_object_mut()) {
        event.insert("client_url".into(), json!(link));
        event.insert("links".into(), json!([{"href": link, "text": "The run"}]));
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_stable_and_short_enough() {
        assert_eq!(key("nightly", "runs", "a p(95) < 1s"), "kperf/nightly/runs/a p(95) < 1s");
        let long = |end: &str| key("nightly", "runs", &format!("{}{end}", "é".repeat(400)));
        assert_eq!(long("a").chars().count(), 255);
        assert_ne!(long("a"), long("b"));
        assert_eq!(key(&"x".repeat(300), "", ""), key(&"x".repeat(300), "", ""));
    }

    #[test]
    fn an_event_says_what_where_and_how_much() {
        let reporting = Reporting {
            name: "pager".into(),
            mode: "events".into(),
            parameters: "{}".into(),
            target: String::new(),
            run: "r1".into(),
            suite: "nightly".into(),
        };
        let alert = Alert {
            scenario: "runs",
            threshold: "a p(95) < 1s",
            value: 1.5,
            limit: 1.0,
            unit: "seconds",
            severity: Severity::Critical,
            at: Some(Instant::from_unix_ns(1_700_000_000_123_000_000)),
        };
        let event = trigger("k", &alert, &reporting, "kfp", "https://ci.example/1");
        assert_eq!(event["payload"]["summary"], "runs: a p(95) < 1s is breached, 1.5 s (limit 1 s)");
        assert_eq!(event["payload"]["timestamp"], "2023-11-14T22:13:20.123Z");
        assert_eq!(event["payload"]["custom_details"]["limit"], "1 s");
        assert_eq!(
            (&event["payload"]["severity"], &event["client_url"]),
            (&json!("critical"), &json!("https://ci.example/1"))
        );
        let long = Alert { threshold: &"x".repeat(5000), at: None, ..alert };
        let event = trigger("k", &long, &reporting, "kfp", "");
        assert_eq!(event["payload"]["summary"].as_str().unwrap().len(), SUMMARY);
        assert!(event.get("links").is_none() && event["payload"].get("timestamp").is_none());
    }
}
