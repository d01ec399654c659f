//! Posts JSON to a server of the user's own: the whole event, or what a template of the suite makes of it.
//!
//! In come events and the text of `summary.json`; out go requests to the target's URL, which the host delivers, and signs if the
//! target's credential says so.

mod template;

use std::collections::BTreeMap;

use kperf_plugin_sdk::{
    Description, Event, Failure, Reporter, Reporting, ThresholdChange, clock, delivery::Message, export_reporter,
    http::Request, instant::Instant, summary::Summary,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The run that it speaks of, and what the suite wants to be sent.
pub struct WebhookReporter {
    reporting: Reporting,
    params: Params,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default = "post")]
    method: String,
    #[serde(default)]
    path: String,
    body: Option<Map<String, Value>>,
    #[serde(default)]
    link: String,
}

fn post() -> String {
    "POST".into()
}

/// What there is to say: values by the name of their placeholder.
type Values = BTreeMap<&'static str, Value>;

/// Every placeholder. What does not belong to an event is null.
const PLACEHOLDERS: [&str; 16] = [
    "event",
    "suite",
    "run",
    "link",
    "at",
    "scenario",
    "threshold",
    "value",
    "limit",
    "unit",
    "severity",
    "outcome",
    "exit_code",
    "reasons",
    "thresholds",
    "summary",
];

fn parameters() -> String {
    let placeholder = template::pattern(&PLACEHOLDERS);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "method": {
                "description": "The method.",
                "type": "string",
                "enum": ["POST", "PUT", "PATCH"],
                "default": "POST"
            },
            "path": {
                "description": "A path below the target's URL; that URL itself if it is empty.",
                "type": "string",
                "pattern": "^(/.*)?$",
                "default": ""
            },
            "link": { "description": "The value of `{{link}}`.", "type": "string", "default": "" },
            "body": {
                "description": format!(
                    "The JSON to send; everything that is known if it is left out. In texts `{{{{NAME}}}}` stands for a value, and a \
                     text that is nothing but one becomes the value itself. Names: {}.",
                    PLACEHOLDERS.join(", ")
                ),
                "type": "object",
                "additionalProperties": { "$ref": "#/$defs/value" }
            }
        },
        "$defs": { "value": {
            "pattern": placeholder,
            "items": { "$ref": "#/$defs/value" },
            "additionalProperties": { "$ref": "#/$defs/value" }
        } }
    })
    .to_string()
}

impl Reporter for WebhookReporter {
    fn describe() -> Description {
        Description::new("webhook-reporter", env!("CARGO_PKG_VERSION"), "Posts JSON by template")
            .mode("json", "A request per event", &parameters())
            .needs_target()
    }

    async fn start(reporting: Reporting) -> Result<Self, Failure> {
        Ok(Self { params: reporting.params()?, reporting })
    }

    async fn on_event(&self, event: Event) -> Result<(), Failure> {
        match event {
            Event::RunStarted => self.send("start", "start", Values::new()).await,
            Event::ThresholdBreached(change) => self.send_change("breach", change).await,
            Event::ThresholdRecovered(change) => self.send_change("recovered", change).await,
            Event::ScenarioFinished(name) => {
                let key = format!("finished/{name}");
                self.send(&key, "finished", Values::from([("scenario", json!(name))])).await
            }
        }
    }

    async fn report(&self, summary: String) -> Result<(), Failure> {
        let summary = Summary::read(&summary)?;
        let reasons: Vec<&String> = summary.verdict.reasons.iter().map(|reason| &reason.text).collect();
        let values = Values::from([
            ("outcome", json!(summary.verdict.outcome)),
            ("exit_code", json!(summary.verdict.exit_code)),
            ("reasons", json!(reasons)),
            ("thresholds", json!(summary.thresholds)),
            ("summary", json!(summary)),
        ]);
        self.send("end", "end", values).await
    }
}

impl WebhookReporter {
    async fn send_change(&self, event: &str, change: ThresholdChange) -> Result<(), Failure> {
        let key = change.key();
        let values = Values::from([
            ("at", json!(Instant::from_unix_ns(change.at).to_string())),
            ("scenario", json!(change.scenario)),
            ("threshold", json!(change.threshold)),
            ("value", json!(change.value)),
            ("limit", json!(change.limit)),
            ("unit", json!(change.unit.word())),
            ("severity", json!(change.severity.word())),
        ]);
        self.send(&key, event, values).await
    }

    async fn send(&self, key: &str, event: &str, mut values: Values) -> Result<(), Failure> {
        values.insert("event", json!(event));
        values.insert("suite", json!(self.reporting.suite));
        values.insert("run", json!(self.reporting.run));
        values.insert("link", json!(self.params.link));
        values.entry("at").or_insert_with(|| json!(Instant::from_unix(clock::wall()).to_string()));
        let body = match &self.params.body {
            Some(template) => template::fill(&Value::Object(template.clone()), &values),
            None => json!(values),
        };
        let request = Request::new("notify", &self.params.method, self.params.path.as_str()).json(&body)?;
        Message::new(key, request).deliver().await.map(drop)
    }
}

export_reporter!(WebhookReporter);
