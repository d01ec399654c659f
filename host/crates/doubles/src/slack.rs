//! Slack: incoming webhooks (`/services/T../B../KEY`) and `chat.postMessage`.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Map, Value, json};

use crate::service::{Reply, Service, ServiceRequest};

mod blocks;

/// The most characters of a message's text.
const TEXT: usize = 40_000;

/// A workspace with one channel, `#alerts` (`C0ALERTS`), and one bot, whose token is any that begins with `xoxb-`.
#[derive(Debug, Default)]
pub struct Slack {
    /// The timestamps of the messages so far: what threads hang on.
    messages: BTreeSet<String>,
}

impl Service for Slack {
    const NAME: &'static str = "Slack";

    fn answer(&mut self, request: &ServiceRequest<'_>) -> Reply {
        match request.path.split('/').skip(1).collect::<Vec<_>>().as_slice() {
            ["services", team, hook, key]
                if team.starts_with('T')
                    && hook.starts_with('B')
                    && !key.is_empty()
                    && request.method == Method::POST =>
            {
                webhook(request)
            }
            ["api", "chat.postMessage"] => match self.post(request) {
                Ok(body) => Reply::accepted(200, body),
                Err(error) => Reply::refused(200, json!({"ok": false, "error": error})),
            },
            ["api", _] => Reply::refused(200, json!({"ok": false, "error": "unknown_method"})),
            _ => Reply::refused(404, json!("no_service")),
        }
    }

    fn throttled() -> Value {
        json!({"ok": false, "error": "ratelimited"})
    }
}

/// Webhooks answer in plain words.
fn webhook(request: &ServiceRequest<'_>) -> Reply {
    let Ok(Value::Object(message)) = serde_json::from_slice(request.body) else {
        return Reply::refused(400, json!("invalid_payload"));
    };
    match content(&message) {
        Ok(()) => Reply::accepted(200, json!("ok")),
        Err(error) => Reply::refused(400, json!(error)),
    }
}

/// What a message says: text, blocks, or both.
fn content(message: &Map<String, Value>) -> Result<(), &'static str> {
    let text = match message.get("text") {
        None | Some(Value::Null) => "",
        Some(Value::String(text)) => text,
        Some(_) => return Err("no_text"),
    };
    let blocks = message.get("blocks");
    if let Some(blocks) = blocks {
        blocks::check(blocks)?;
    }
    if text.is_empty() && blocks.and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Err("no_text");
    }
    if text.chars().count() > TEXT {
        return Err("msg_too_long");
    }
    Ok(())
}

impl Slack {
    fn post(&mut self, request: &ServiceRequest<'_>) -> Result<Value, &'static str> {
        let token = request.token().ok_or("not_authed")?;
        if !token.starts_with("xoxb-") {
            return Err("invalid_auth");
        }
        if request.method != Method::POST || !request.is_json() {
            return Err("invalid_form_data");
        }
        let Ok(Value::Object(message)) = serde_json::from_slice(request.body) else { return Err("invalid_json") };
        match message.get("channel").and_then(Value::as_str) {
            Some("C0ALERTS" | "#alerts" | "alerts") => {}
            _ => return Err("channel_not_found"),
        }
        content(&message)?;
        if let Some(thread) = message.get("thread_ts") {
            let known = thread.as_str().is_some_and(|thread| self.messages.contains(thread));
            known.then_some(()).ok_or("thread_not_found")?;
        }
        let at = format!("{}.{:06}", 1_700_000_000 + self.messages.len(), self.messages.len());
        self.messages.insert(at.clone());
        Ok(json!({"ok": true, "channel": "C0ALERTS", "ts": at, "message": message}))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn ask(slack: &mut Slack, path: &str, token: Option<&'static str>, body: &str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json; charset=utf-8"));
        headers.extend(token.map(|token| (http::header::AUTHORIZATION, HeaderValue::from_static(token))));
        slack.answer(&ServiceRequest { method: &Method::POST, path, headers: &headers, body: body.as_bytes() })
    }

    fn header(length: usize) -> Value {
        json!({"type": "header", "text": {"type": "plain_text", "text": "x".repeat(length)}})
    }

    #[test]
    fn a_webhook_takes_a_message_and_refuses_what_is_none() {
        let mut slack = Slack::default();
        let hook = "/services/T0/B0/key";
        let many = vec![json!({"type": "divider"}); 51];
        let long = json!({"type": "section", "text": {"type": "mrkdwn", "text": "x".repeat(3001)}});
        let sections = vec![json!({"type": "section", "text": {"type": "mrkdwn", "text": "x".repeat(2900)}}); 5];
        for (body, status, answer) in [
            (json!({"text": "hello"}), 200, "ok"),
            (json!({"blocks": [header(150)]}), 200, "ok"),
            (json!({"text": ""}), 400, "no_text"),
            (json!([1]), 400, "invalid_payload"),
            (json!({"blocks": [header(151)]}), 400, "invalid_blocks"),
            (json!({"blocks": many}), 400, "invalid_blocks"),
            (json!({"blocks": [long]}), 400, "invalid_blocks"),
            (json!({"blocks": [{"type": "divider", "text": "x"}]}), 400, "invalid_blocks"),
            (json!({"blocks": sections}), 400, "msg_blocks_too_long"),
        ] {
            let reply = ask(&mut slack, hook, None, &body.to_string());
            assert_eq!((reply.status, reply.body), (status, json!(answer)), "{body}");
        }
        assert_eq!(ask(&mut slack, hook, None, "{").body, json!("invalid_payload"));
        assert_eq!(ask(&mut slack, "/services/T0", None, "{}").status, 404);
    }

    #[test]
    fn a_bot_needs_its_token_a_channel_and_a_thread_that_exists() {
        let mut slack = Slack::default();
        let method = "/api/chat.postMessage";
        let bot = Some("Bearer xoxb-1");
        let mut post = |token, body: Value| ask(&mut slack, method, token, &body.to_string()).body;
        let good = json!({"channel": "#alerts", "text": "hello"});
        assert_eq!(post(None, good.clone())["error"], "not_authed");
        assert_eq!(post(Some("Bearer no"), good.clone())["error"], "invalid_auth");
        assert_eq!(post(bot, json!({"channel": "#none", "text": "x"}))["error"], "channel_not_found");
        let first = post(bot, good);
        assert_eq!(first["ok"], true);
        let reply = json!({"channel": "C0ALERTS", "text": "x", "thread_ts": first["ts"]});
        assert_eq!(post(bot, reply)["ok"], true);
        let lost = json!({"channel": "C0ALERTS", "text": "x", "thread_ts": "1.2"});
        assert_eq!(post(bot, lost)["error"], "thread_not_found");
    }
}
