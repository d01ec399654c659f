//! Opens a PagerDuty alert when a threshold is breached, while the run goes on, and resolves it when the threshold holds again:
//! in the same run or in a later one (Events API v2).
//!
//! In come events and the text of `summary.json`; out go events with a key that is the same for the same suite, scenario and
//! threshold, which the host delivers. The routing key stays in the host.

mod event;

use std::cell::RefCell;
use std::collections::BTreeMap;

use event::Alert;
use kperf_plugin_sdk::{
    Description, Event, Failure, Reporter, Reporting, Severity,
    delivery::Message,
    export_reporter,
    http::{Request, SECRET},
    instant::Instant,
    summary::Summary,
};
use serde::Deserialize;

const PARAMETERS: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["routing_key"],
  "properties": {
    "routing_key": {
      "description": "The name of the credential that holds the integration's key.",
      "type": "string",
      "format": "credential"
    },
    "source": {
      "description": "What is tested, as PagerDuty shows it; the suite's name if it is empty.",
      "type": "string",
      "maxLength": 200,
      "default": ""
    },
    "link": {
      "description": "A URL for the alert, for example of the CI job. None if it is empty.",
      "type": "string",
      "pattern": "^(https?://.*)?$",
      "default": ""
    }
  }
}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    routing_key: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    link: String,
}

/// The run that it speaks of, and the alerts that are open.
pub struct PagerdutyReporter {
    reporting: Reporting,
    params: Params,
    /// Whether an alert is open, by key, for those of which this run has spoken.
    open: RefCell<BTreeMap<String, bool>>,
}

impl Reporter for PagerdutyReporter {
    fn describe() -> Description {
        Description::new("pagerduty-reporter", env!("CARGO_PKG_VERSION"), "Opens and resolves PagerDuty alerts")
            .mode("events", "An alert per threshold (Events API v2)", PARAMETERS)
            .needs_target()
    }

    async fn start(reporting: Reporting) -> Result<Self, Failure> {
        Ok(Self { params: reporting.params()?, reporting, open: RefCell::default() })
    }

    async fn on_event(&self, event: Event) -> Result<(), Failure> {
        match event {
            Event::ThresholdBreached(change) => {
                let alert = Alert {
                    scenario: &change.scenario,
                    threshold: &change.threshold,
                    value: change.value,
                    limit: change.limit,
                    unit: change.unit.word(),
                    severity: change.severity,
                    at: Some(Instant::from_unix_ns(change.at)),
                };
                self.trigger(&alert).await
            }
            Event::ThresholdRecovered(change) => self.resolve(&change.scenario, &change.threshold).await,
            Event::RunStarted | Event::ScenarioFinished(_) => Ok(()),
        }
    }

    async fn report(&self, summary: String) -> Result<(), Failure> {
        let summary = Summary::read(&summary)?;
        // A run without a clear answer neither raises an alarm nor ends one.
        if summary.interrupted || !["pass", "fail"].contains(&summary.verdict.outcome.as_str()) {
            return Ok(());
        }
        let mut all_sent = Ok(());
        for threshold in &summary.thresholds {
            let scenario = threshold.scenario.as_deref().unwrap_or_default();
            let known = self.open.borrow().get(&self.key(scenario, &threshold.text)).copied();
            let sent = match (threshold.outcome.as_str(), threshold.value, known) {
                // Also of earlier runs: where none is open, PagerDuty ignores it.
                ("pass", _, None | Some(true)) => self.resolve(scenario, &threshold.text).await,
                ("breach", Some(value), None | Some(false)) => {
                    let alert = Alert {
                        scenario,
                        threshold: &threshold.text,
                        value,
                        limit: threshold.limit,
                        unit: &threshold.unit,
                        severity: Severity::of_word(&threshold.severity).unwrap_or(Severity::Error),
                        at: None,
                    };
                    self.trigger(&alert).await
                }
                _ => Ok(()),
            };
            // One that fails must not keep back the others.
            all_sent = all_sent.and(sent);
        }
        all_sent
    }
}

impl PagerdutyReporter {
    fn key(&self, scenario: &str, threshold: &str) -> String {
        event::key(&self.reporting.suite, scenario, threshold)
    }

    async fn trigger(&self, alert: &Alert<'_>) -> Result<(), Failure> {
        let key = self.key(alert.scenario, alert.threshold);
        let source = Some(&self.params.source).filter(|source| !source.is_empty()).unwrap_or(&self.reporting.suite);
        let body = event::trigger(&key, alert, &self.reporting, source, &self.params.link);
        self.send(key, &body, true).await
    }

    async fn resolve(&self, scenario: &str, threshold: &str) -> Result<(), Failure> {
        let key = self.key(scenario, threshold);
        let body = serde_json::json!({"routing_key": SECRET, "event_action": "resolve", "dedup_key": key});
        self.send(key, &body, false).await
    }

    /// Sends an event. What it says holds, even if it arrives later: the host keeps it.
    async fn send(&self, key: String, body: &serde_json::Value, open: bool) -> Result<(), Failure> {
        self.open.borrow_mut().insert(key.clone(), open);
        let request = Request::post("enqueue", "/v2/enqueue").json_with_secret(body, &self.params.routing_key)?;
        Message::new(key, request).deliver().await.map(drop)
    }
}

export_reporter!(PagerdutyReporter);
