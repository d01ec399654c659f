//! Tells a Slack channel about the run: through an incoming webhook, or as a bot that keeps each run in a thread.
//!
//! In come events and the text of `summary.json`; out go Block Kit messages, which the host delivers. The webhook's URL and the
//! bot's token stay in the host.

mod blocks;
mod message;

use std::cell::RefCell;

use kperf_plugin_sdk::{
    Description, Event, Failure, Reporter, Reporting,
    delivery::Message,
    export_reporter,
    http::{Request, Response},
    summary::Summary,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The parameters of both modes.
const COMMON: &str = r#"
    "link": {
      "description": "A URL for the button of a message, for example of the CI job. No button if it is empty.",
      "type": "string",
      "pattern": "^(https?://.*)?$",
      "maxLength": 3000,
      "default": ""
    },
    "mention": {
      "description": "Who is called when a threshold is breached or the run fails: `<!here>`, `<@U123>`, `<!subteam^S123>`.",
      "type": "string",
      "pattern": "^(<[!@][^<>|]{1,60}>)?$",
      "default": ""
    }"#;

fn parameters(more: &str, required: &str) -> String {
    format!(
        r#"{{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
            "required": [{required}], "properties": {{{more}{COMMON}}}}}"#
    )
}

const CHANNEL: &str = r#"
    "channel": {
      "description": "The channel: its id (C0123456789) or its name (#performance). The bot has to be in it.",
      "type": "string",
      "pattern": "^(#[^\\s#]{1,80}|[CGD][A-Z0-9]{6,})$"
    },"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    channel: Option<String>,
    #[serde(default)]
    link: String,
    #[serde(default)]
    mention: String,
}

/// The run that it speaks of, and where.
pub struct SlackReporter {
    suite: String,
    run: String,
    params: Params,
    /// The first message of the run's thread, once it is there.
    thread: RefCell<Option<String>>,
}

impl Reporter for SlackReporter {
    fn describe() -> Description {
        Description::new("slack-reporter", env!("CARGO_PKG_VERSION"), "Tells a Slack channel about the run")
            .mode("webhook", "Through an incoming webhook", &parameters("", ""))
            .needs_target()
            .mode("bot", "As a bot, with a thread for each run", &parameters(CHANNEL, "\"channel\""))
            .needs_target()
    }

    async fn start(reporting: Reporting) -> Result<Self, Failure> {
        let params = reporting.params()?;
        Ok(Self { suite: reporting.suite, run: reporting.run, params, thread: RefCell::default() })
    }

    async fn on_event(&self, event: Event) -> Result<(), Failure> {
        let (suite, mention) = (&self.suite, &self.params.mention);
        match event {
            Event::RunStarted => {
                self.post("start", &message::started(suite, &self.run, &self.params.link), false).await
            }
            Event::ThresholdBreached(change) => {
                self.post(&change.key(), &message::breached(suite, &change, mention), true).await
            }
            Event::ThresholdRecovered(change) => {
                self.post(&change.key(), &message::recovered(suite, &change), false).await
            }
            Event::ScenarioFinished(_) => Ok(()),
        }
    }

    async fn report(&self, summary: String) -> Result<(), Failure> {
        let summary = Summary::read(&summary)?;
        let message = message::ended(&summary, &self.params.link, &self.params.mention);
        self.post("result", &message, true).await
    }
}

impl SlackReporter {
    /// Posts a message; one that matters is shown in the channel, too, not in the thread alone.
    async fn post(&self, key: &str, message: &message::Message, matters: bool) -> Result<(), Failure> {
        let mut body = json!({"text": message.text, "blocks": message.blocks});
        let Some(channel) = &self.params.channel else {
            Message::new(key, Request::post("webhook", "").json(&body)?).deliver().await?;
            return Ok(());
        };
        let thread = self.thread.borrow().clone();
        let fields = [
            ("channel", Some(json!(channel))),
            ("thread_ts", thread.clone().map(Value::from)),
            ("reply_broadcast", thread.as_ref().filter(|_| matters).map(|_| json!(true))),
            ("unfurl_links", Some(json!(false))),
        ];
        for (name, value) in fields {
            if let (Some(object), Some(value)) = (body.as_object_mut(), value) {
                object.insert(name.to_owned(), value);
            }
        }
        let request = Request::post("chat_post_message", "/api/chat.postMessage");
        let answer = Message::new(key, request.json(&body)?).accepted("/ok").deliver().await?;
        if thread.is_none() {
            *self.thread.borrow_mut() = timestamp(&answer);
        }
        Ok(())
    }
}

/// The message's `ts`, which replies in its thread name.
fn timestamp(answer: &Response) -> Option<String> {
    let answer: Value = answer.json().ok()?;
    answer.get("ts")?.as_str().map(str::to_owned)
}

export_reporter!(SlackReporter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_schemas() {
        for mode in SlackReporter::describe().modes {
            let schema: Value = serde_json::from_str(&mode.parameters).unwrap();
            assert!(schema["properties"]["link"].is_object() && mode.needs_target, "{schema}");
        }
    }
}
