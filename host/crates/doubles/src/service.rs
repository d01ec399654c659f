//! A service without its server: requests in, replies out.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method};
use serde_json::Value;

/// A request to a double.
#[derive(Debug)]
pub struct ServiceRequest<'a> {
    /// The HTTP method.
    pub method: &'a Method,
    /// The path without the query.
    pub path: &'a str,
    /// The headers as they were sent.
    pub headers: &'a HeaderMap,
    /// The whole body; at most 1 MiB.
    pub body: &'a [u8],
}

impl ServiceRequest<'_> {
    /// The token of `Authorization: Bearer`.
    pub(crate) fn token(&self) -> Option<&str> {
        self.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
    }

    pub(crate) fn is_json(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        kind.is_some_and(|kind| kind.starts_with("application/json"))
    }
}

/// What a service answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body: a text is sent as it is, everything else as JSON.
    pub body: Value,
    /// Whether the service has accepted the request.
    pub taken: bool,
}

impl Reply {
    pub(crate) fn accepted(status: u16, body: Value) -> Self {
        Self { status, body, taken: true }
    }

    pub(crate) fn refused(status: u16, body: Value) -> Self {
        Self { status, body, taken: false }
    }
}

/// What a service does with requests, without network and clock.
pub trait Service: Send + 'static {
    /// The product's name, like `PagerDuty`.
    const NAME: &'static str;

    /// Answers a request.
    fn answer(&mut self, request: &ServiceRequest<'_>) -> Reply;

    /// The body of the answer to a request that comes too soon after others (429).
    fn throttled() -> Value;
}
