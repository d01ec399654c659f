//! Delivering messages: sent until they arrive or the time is up.
//!
//! In come a reporter's [`Message`] and what its suite grants; out comes the answer with which the service took it, or why it
//! did not. When to try again is decided by a pure function; the outbox learns every outcome.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::RETRY_AFTER;
use kperf_metrics::DeliveryChange;
use tokio::sync::watch;

use crate::bindings::http::{BodyMode, Chunk, Error, Request};
use crate::component::description::Description;
use crate::environment::context::{Delivery, PluginContext, WorkerContext};
use crate::environment::sender::Sender;
use crate::environment::services::Services;
use crate::recording::outbox::{DeliveryState, Message, Piece};

/// The longest try. A service that does not answer must not use up the time of all tries.
const TRY: Duration = Duration::from_secs(10);
/// The pause after the first try; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause that the service did not ask for.
const LONGEST: Duration = Duration::from_secs(10);

/// Why a message has not arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// The suite does not grant it.
    Denied(String),
    /// The service does not want it as it is.
    Refused(String),
    /// The time was up.
    Late(String),
}

impl Undelivered {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Refused(_) => "refused",
            Self::Late(_) => "undelivered",
        }
    }

    pub(crate) fn message(&self) -> &str {
        let (Self::Denied(text) | Self::Refused(text) | Self::Late(text)) = self;
        text
    }
}

/// What an answer means.
#[derive(Debug, PartialEq)]
enum Reply {
    Taken,
    Refused(String),
    /// Not now; perhaps after this time.
    Busy(String, Option<Duration>),
}

/// Sends a message until it arrives or the time is up, and writes down what came of it.
pub(crate) async fn deliver(
    services: &Arc<Services>,
    delivery: &Delivery,
    message: &Message,
) -> Result<kperf_http::Response, Undelivered> {
    let mut tries = 0;
    let result = attempts(services, delivery, message, &mut tries).await;
    let redactor = &services.worker.redactor;
    let (state, why) = match &result {
        Ok(_) => (DeliveryState::Arrived, None),
        Err(error) => (DeliveryState::Kept, Some(redactor.redact(error.message()).into_owned())),
    };
    if let Err(error) = delivery.outbox.outcome(message.number, state, tries, why) {
        tracing::warn!("{}: {error}", services.plugin.name);
    }
    let (reporter, key) = (message.reporter.clone(), message.key.clone());
    // Nobody listens when messages are sent again after the run.
    let _ = delivery.changes.send(DeliveryChange { reporter, key, arrived: result.is_ok(), tries });
    result
}

async fn attempts(
    services: &Arc<Services>,
    delivery: &Delivery,
    message: &Message,
    tries: &mut u32,
) -> Result<kperf_http::Response, Undelivered> {
    let last = Instant::now() + delivery.patience;
    let mut until = delivery.until.clone();
    let mut why = "there was no time left".to_owned();
    loop {
        let end = (*until.borrow_and_update()).map_or(last, |until| until.min(last));
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late(&why, *tries));
        }
        *tries += 1;
        let limit = services.plugin.requests.timeout.map_or(TRY, |timeout| timeout.min(TRY)).min(left);
        let sender = Sender::new(services, None, 0);
        let answered = async { sender.exchange(request(services, message, limit), |response, _| response)?.await };
        let asked = match answered.await {
            Err(Error::Denied(text)) => return Err(Undelivered::Denied(text)),
            Err(Error::Invalid(text)) => return Err(Undelivered::Refused(text)),
            Err(error) => {
                why = text(error);
                None
            }
            Ok(response) => match judge(&response, message.accepted.as_deref()) {
                Reply::Taken => return Ok(response),
                Reply::Refused(text) => return Err(Undelivered::Refused(text)),
                Reply::Busy(text, asked) => {
                    why = text;
                    asked
                }
            },
        };
        let pause = pause(*tries, asked, rand::random());
        tracing::debug!("{}: {why}; trying again in {pause:?}", services.plugin.name);
        let again = Instant::now() + pause;
        if !wait(again, last, &mut until).await {
            return Err(late(&why, *tries));
        }
    }
}

/// Waits until an instant; false if there is no time for that, as soon as it is known.
async fn wait(again: Instant, last: Instant, until: &mut watch::Receiver<Option<Instant>>) -> bool {
    loop {
        if again >= (*until.borrow_and_update()).map_or(last, |until| until.min(last)) {
            return false;
        }
        let over = async {
            // Without a sender nobody ends the run early.
            if until.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(again.into()) => return true,
            () = over => {}
        }
    }
}

fn late(why: &str, tries: u32) -> Undelivered {
    Undelivered::Late(match tries {
        0 => why.to_owned(),
        1 => format!("tried once: {why}"),
        _ => format!("tried {tries} times: {why}"),
    })
}

/// How long to wait after so many tries: as long as the service asks for, or twice as long each time; and a bit more or less, so
/// that not everybody comes back at the same moment. `roll` is from 0 to 1.
fn pause(tries: u32, asked: Option<Duration>, roll: f64) -> Duration {
    match asked {
        Some(asked) => asked + FIRST.mul_f64(roll / 2.0),
        None => {
            let doubled = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16));
            doubled.min(LONGEST).mul_f64(0.5 + roll / 2.0)
        }
    }
}

fn judge(response: &kperf_http::Response, accepted: Option<&str>) -> Reply {
    let status = response.status;
    let said = || {
        let text = String::from_utf8_lossy(&response.body);
        let line: String = text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("answered {}: {line}", status.as_u16())
    };
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
        let header = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        // The other form, a date, is for clients with the server's clock.
        let asked = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        return Reply::Busy(said(), asked);
    }
    if !status.is_success() {
        return Reply::Refused(said());
    }
    match accepted {
        None => Reply::Taken,
        Some(pointer) => {
            let answer: Option<serde_json::Value> = serde_json::from_slice(&response.body).ok();
            let taken = answer.and_then(|answer| answer.pointer(pointer)?.as_bool());
            if taken == Some(true) { Reply::Taken } else { Reply::Refused(said()) }
        }
    }
}

fn request(services: &Services, message: &Message, limit: Duration) -> Request {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => Chunk::Bytes(text.clone().into_bytes()),
        Piece::Secret(name) => Chunk::Secret(name.clone()),
    };
    let mut headers = message.headers.clone();
    // For services that take a message and whose answer is lost.
    headers.push(("idempotency-key".to_owned(), format!("{}-{}", services.plugin.run, message.number)));
    Request {
        operation: message.operation.clone(),
        method: message.method.clone(),
        url: message.url.clone(),
        headers,
        body: message.body.iter().map(piece).collect(),
        credential: message.credential.clone(),
        timeout: Some(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)),
        redirects: 0,
        expected: Vec::new(),
        response_headers: Vec::new(),
        response_body: BodyMode::Keep,
        tags: Vec::new(),
    }
}

fn text(error: Error) -> String {
    match error {
        Error::Denied(text)
        | Error::Invalid(text)
        | Error::Connect(text)
        | Error::Tls(text)
        | Error::Timeout(text)
        | Error::TooLarge(text)
        | Error::Protocol(text)
        | Error::Interrupted(text) => text,
    }
}

/// Sends messages again, long after their run: needs nothing of the plugin but its name and grants.
pub struct Resender(Arc<Services>);

impl Resender {
    /// For the messages of one reporter, whose plugin describes itself like this.
    #[must_use]
    pub fn new(description: &Description, worker: WorkerContext, context: Arc<PluginContext>) -> Self {
        Self(Services::new(worker, context, description))
    }

    /// Sends a message until it arrives or the time is up.
    ///
    /// # Errors
    /// Why it has not arrived, without secrets.
    pub async fn resend(&self, message: &Message) -> Result<(), String> {
        let Some(delivery) = &self.0.plugin.delivery else { return Err("the reporter has no outbox".to_owned()) };
        let redact = |error: Undelivered| self.0.worker.redactor.redact(error.message()).into_owned();
        deliver(&self.0, delivery, message).await.map(drop).map_err(redact)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn response(status: u16, retry_after: Option<&'static str>, body: &'static str) -> kperf_http::Response {
        let mut headers = HeaderMap::new();
        headers.extend(retry_after.map(|it| (RETRY_AFTER, HeaderValue::from_static(it))));
        let status = StatusCode::from_u16(status).unwrap();
        kperf_http::Response { status, version: http::Version::HTTP_11, headers, body: body.into(), body_bytes: 0 }
    }

    #[test]
    fn an_answer_takes_refuses_or_asks_to_wait() {
        let judged = |status, after, body, accepted| judge(&response(status, after, body), accepted);
        let second = Some(Duration::from_secs(7));
        assert_eq!(judged(202, None, "", None), Reply::Taken);
        assert_eq!(judged(200, None, r#"{"ok":true}"#, Some("/ok")), Reply::Taken);
        let refused = Reply::Refused("answered 200: {\"ok\":false}".into());
        assert_eq!(judged(200, None, "{\"ok\":false}", Some("/ok")), refused);
        assert_eq!(judged(200, None, "<html>", Some("/ok")), Reply::Refused("answered 200: <html>".into()));
        assert_eq!(judged(302, None, "", None), Reply::Refused("answered 302: ".into()));
        assert_eq!(judged(400, None, "no\ntext", None), Reply::Refused("answered 400: no text".into()));
        assert_eq!(judged(429, Some("7"), "", None), Reply::Busy("answered 429: ".into(), second));
        assert_eq!(judged(503, Some("Wed, 21 Oct 2026"), "", None), Reply::Busy("answered 503: ".into(), None));
    }

    #[test]
    fn pauses_grow_unless_the_service_says_how_long() {
        let all = |roll: f64| (1..9).map(|tries| pause(tries, None, roll).as_millis()).collect::<Vec<_>>();
        assert_eq!(all(1.0), [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
        assert_eq!(all(0.0), [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
        assert_eq!(pause(1, Some(Duration::from_secs(30)), 0.0), Duration::from_secs(30));
        assert_eq!(pause(9, Some(Duration::from_secs(1)), 1.0), Duration::from_millis(1250));
        assert_eq!(pause(u32::MAX, None, 1.0), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_when_there_is_no_time_for_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (ends, mut until) = watch::channel(None);
        assert!(wait(at(1), at(10), &mut until).await);
        assert!(!wait(at(10), at(10), &mut until).await);
        let (waited, ()) = tokio::join!(wait(at(8), at(10), &mut until), async {
            ends.send_replace(Some(at(5)));
        });
        assert!(!waited, "the run is over before");
    }
}
