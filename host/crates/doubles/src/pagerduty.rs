//! PagerDuty: the Events API v2 (`/v2/enqueue`).

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Map, Value, json};

use crate::service::{Reply, Service, ServiceRequest};

/// The length of a routing key.
const ROUTING_KEY: usize = 32;
/// The most characters of a key.
const DEDUP_KEY: usize = 255;
/// The most characters of a summary.
const SUMMARY: usize = 1024;
/// The largest event in bytes.
const EVENT: usize = 512 * 1000;

/// A service with one integration, whose key is any of 32 characters.
#[derive(Debug, Default)]
pub struct PagerDuty {
    /// Keys of alerts that are open.
    open: BTreeSet<String>,
    events: usize,
}

impl Service for PagerDuty {
    const NAME: &'static str = "PagerDuty";

    fn answer(&mut self, request: &ServiceRequest<'_>) -> Reply {
        if request.path != "/v2/enqueue" || request.method != Method::POST {
            return Reply::refused(404, json!("Not Found"));
        }
        let invalid = |errors: Vec<String>| {
            let body = json!({"status": "invalid event", "message": "Event object is invalid", "errors": errors});
            Reply::refused(400, body)
        };
        if request.body.len() > EVENT {
            return Reply::refused(413, json!("Payload Too Large"));
        }
        let Ok(Value::Object(event)) = serde_json::from_slice(request.body) else {
            return invalid(vec!["JSON is invalid".to_owned()]);
        };
        let errors = errors(&event);
        if !errors.is_empty() {
            return invalid(errors);
        }
        self.events += 1;
        let key = event.get("dedup_key").and_then(Value::as_str);
        let key = key.map_or_else(|| format!("event-{}", self.events), str::to_owned);
        match event.get("event_action").and_then(Value::as_str) {
            Some("trigger") => drop(self.open.insert(key.clone())),
            // An acknowledgement or a resolution of what is not open does no harm.
            Some("resolve") => drop(self.open.remove(&key)),
            _ => {}
        }
        Reply::accepted(202, json!({"status": "success", "message": "Event processed", "dedup_key": key}))
    }

    fn throttled() -> Value {
        json!({"status": "throttle exceeded", "message": "Requests for this service are arriving too quickly. Please retry later."})
    }
}

/// What is wrong with an event.
fn errors(event: &Map<String, Value>) -> Vec<String> {
    let mut errors = Vec::new();
    let text = |object: &Map<String, Value>, key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    match text(event, "routing_key") {
        None => errors.push("'routing_key' is missing or blank".to_owned()),
        Some(key) if key.chars().count() != ROUTING_KEY => {
            errors.push(format!("Length of 'routing_key' is incorrect (should be {ROUTING_KEY} characters)"));
        }
        Some(_) => {}
    }
    let action = text(event, "event_action").unwrap_or_default();
    if !["trigger", "acknowledge", "resolve"].contains(&action.as_str()) {
        errors.push("'event_action' is missing or invalid (should be trigger, acknowledge or resolve)".to_owned());
    }
    match text(event, "dedup_key") {
        None if action != "trigger" => errors.push("'dedup_key' is missing or blank".to_owned()),
        Some(key) if key.chars().count() > DEDUP_KEY => {
            errors.push(format!("'dedup_key' is too long (maximum is {DEDUP_KEY} characters)"));
        }
        _ => {}
    }
    match event.get("payload").and_then(Value::as_object) {
        None if action == "trigger" => errors.push("'payload' is missing or blank".to_owned()),
        None => {}
        Some(payload) => {
            match text(payload, "summary") {
                Some(text) if text.chars().count() > SUMMARY => {
                    errors.push(format!("'payload.summary' is too long (maximum is {SUMMARY} characters)"));
                }
                Some(text) if !text.is_empty() => {}
                _ => errors.push("'payload.summary' is missing or blank".to_owned()),
            }
            if text(payload, "source").is_none_or(|source| source.is_empty()) {
                errors.push("'payload.source' is missing or blank".to_owned());
            }
            let severity = text(payload, "severity").unwrap_or_default();
            if !["critical", "error", "warning", "info"].contains(&severity.as_str()) {
                errors.push("'payload.severity' is invalid (must be one of critical, error, warning, info)".to_owned());
            }
            if let Some(at) = text(payload, "timestamp")
                && chrono::DateTime::parse_from_rfc3339(&at).is_err()
            {
                errors.push("'payload.timestamp' is not a valid timestamp".to_owned());
            }
        }
    }
    let links = event.get("links").map(|links| links.as_array().cloned().unwrap_or_default());
    if links.is_some_and(|links| links.iter().any(|link| !link["href"].is_string())) {
        errors.push("'links' is invalid".to_owned());
    }
    errors
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn an_event_is_taken_or_refused_with_every_mistake() {
        let mut pager = PagerDuty::default();
        let mut ask = |event: Value| {
            let body = event.to_string();
            pager.answer(&ServiceRequest {
                method: &Method::POST,
                path: "/v2/enqueue",
                headers: &HeaderMap::new(),
                body: body.as_bytes(),
            })
        };
        let event = json!({"routing_key": "0123456789abcdef0123456789abcdef", "event_action": "trigger",
            "dedup_key": "k", "payload": {"summary": "s", "source": "x", "severity": "error",
            "timestamp": "2026-11-26T01:00:00.000Z"}});
        let reply = ask(event.clone());
        assert_eq!((reply.status, &reply.body["dedup_key"]), (202, &json!("k")));
        let resolve = json!({"routing_key": event["routing_key"], "event_action": "resolve", "dedup_key": "k"});
        assert_eq!(ask(resolve).status, 202);
        let wrong = |pointer: &str, value: Value| {
            let mut event = event.clone();
            *event.pointer_mut(pointer).unwrap() = value;
            event
        };
        for (pointer, value, part) in [
            ("/routing_key", json!("short"), "routing_key"),
            ("/event_action", json!("close"), "event_action"),
            ("/dedup_key", json!("x".repeat(256)), "dedup_key"),
            ("/payload", json!(null), "payload"),
            ("/payload/summary", json!("x".repeat(1025)), "summary"),
            ("/payload/severity", json!("fatal"), "severity"),
            ("/payload/timestamp", json!("yesterday"), "timestamp"),
        ] {
            let reply = ask(wrong(pointer, value));
            assert_eq!(reply.status, 400);
            assert!(reply.body["errors"][0].as_str().unwrap().contains(part), "{reply:?}");
        }
        let empty = ask(json!({}));
        assert_eq!(empty.body["errors"].as_array().unwrap().len(), 3, "{empty:?}");
    }
}
