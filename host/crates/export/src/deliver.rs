//! Brings bodies to a server in order, however long that takes: nobody but this waits for it.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use kperf_http::{Body, Client, Error, Origin, Request, Response};
use tokio::sync::mpsc;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after the first failure; each further one doubles it, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How much of a refusal's text is told.
const TOLD: usize = 300;

/// Makes the headers of a request with this body.
pub type Headers = Box<dyn Fn(&[u8]) -> HeaderMap>;

/// Where bodies go.
pub struct Destination {
    /// What it is called in the log.
    pub name: String,
    /// This thread's client.
    pub client: Client,
    /// The server.
    pub origin: Origin,
    /// The path on it.
    pub path: PathAndQuery,
    /// Asked for each request, since a credential may be renewed.
    pub headers: Headers,
}

/// What became of the bodies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Taken by the server.
    pub taken: u64,
    /// Refused by the server.
    pub refused: u64,
    /// What the first refusal, or else the last failure to reach the server, said.
    pub why: String,
}

/// Sends what comes until nothing comes any more. A server that can't be reached, or is overloaded, is tried again and again;
/// what it refuses is counted and left. `report` always has the state so far, for whoever gives up waiting.
pub async fn deliver(to: Destination, mut bodies: mpsc::Receiver<Bytes>, report: impl Fn(&Delivered)) {
    let mut delivered = Delivered::default();
    while let Some(body) = bodies.recv().await {
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match to.send(&body).await {
                Outcome::Taken => {
                    delivered.taken += 1;
                    break;
                }
                Outcome::Refused(why) => {
                    if delivered.refused == 0 {
                        tracing::warn!("{} refuses series: {why}", to.name);
                        delivered.why = why;
                    }
                    delivered.refused += 1;
                    break;
                }
                Outcome::Later(why, wait) => (why, wait),
            };
            let (why, wait) = failure;
            tracing::debug!("{} takes no series now: {why}", to.name);
            if delivered.refused == 0 {
                delivered.why = why;
            }
            report(&delivered);
            // Spread, so that several runs do not come back at once.
            let spread = pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            tokio::time::sleep(wait.map_or(spread, |wait| wait.min(LONGEST_PAUSE))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        report(&delivered);
    }
}

enum Outcome {
    Taken,
    Refused(String),
    /// Try again, after a time that the server names.
    Later(String, Option<Duration>),
}

impl Destination {
    async fn send(&self, body: &Bytes) -> Outcome {
        let mut request = Request::new(Method::POST, self.path.clone());
        request.headers = (self.headers)(body);
        request.body = Body::Bytes(body.clone());
        request.timeout = Some(TIMEOUT);
        match self.client.send(&self.origin, request).await.result {
            Ok(response) => of(&response),
            Err(error @ Error::Invalid(_)) => Outcome::Refused(error.to_string()),
            Err(error) => Outcome::Later(error.to_string(), None),
        }
    }
}

fn of(response: &Response) -> Outcome {
    let status = response.status;
    if status.is_success() {
        return Outcome::Taken;
    }
    let text = String::from_utf8_lossy(&response.body);
    let why = format!("{status}: {}", text.trim().chars().take(TOLD).collect::<String>());
    if status.is_server_error() || status.as_u16() == 429 {
        let wait = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        return Outcome::Later(why, wait.map(Duration::from_secs));
    }
    Outcome::Refused(why)
}
