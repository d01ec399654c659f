//! The requests to the Kubeflow Pipelines REST API (v2beta1), each with its operation name.
//!
//! Every request is made for a tenant. What the server refuses comes back as `ApiError::Refused` with its status, so that
//! callers can tell "was not done" from "nobody knows".

pub mod experiments;
pub mod pipelines;
pub mod recurring;
pub mod resource;
pub mod runs;

use std::time::Duration;

use kperf_plugin_sdk::{
    Failure, clock,
    http::{Request, Response, form},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{clock_offset::Exchange, tenant::Tenant};

/// Where all paths of the API begin.
pub const BASE: &str = "/apis/v2beta1";

/// Why a request did not bring what was query for.
#[derive(Debug)]
pub enum ApiError {
    /// The server answered that it won't.
    Refused {
        /// The HTTP status.
        status: u16,
        /// For people, with the server's own words.
        message: String,
    },
    /// There is no answer, or none that can be read: the server may have done it.
    Unknown(Failure),
}

impl ApiError {
    /// Whether the server said that it did nothing. It says so with a status of the 400s; behind one of the 500s anything
    /// may have happened.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if (400..500).contains(status))
    }

    /// Whether the server does not know the thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the request was broken off because the run of the suite is being stopped.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Unknown(failure) if failure.kind == "interrupted")
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Refused { message, .. } => Self::new("http-status", message),
            ApiError::Unknown(failure) => failure,
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self::Unknown(failure)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Health {
    pub multi_user: bool,
    pub tag_name: String,
    pub commit_sha: String,
}

/// `GET /healthz`, and what its `Date` header tells about the server's clock.
pub async fn health() -> Result<(Health, Option<Exchange>), ApiError> {
    let mut request = Request::get("healthz", format!("{BASE}/healthz"));
    request.response_headers = vec!["date".into()];
    let sent = clock::wall();
    let response = answered(request).await?;
    let received = clock::wall();
    let date = response.headers.iter().find(|(name, _)| name == "date").and_then(|(_, value)| http_date(value));
    let exchange = date.map(|second| Exchange { second, sent, received });
    Ok((response.json()?, exchange))
}

/// The seconds since the Unix epoch that a `Date` header names.
fn http_date(text: &str) -> Option<f64> {
    let time = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some(time.timestamp() as f64)
}

/// Sends a request and waits for an answer that is a success.
///
/// A failed status becomes a refusal with the server's own words: the user-facing text if there is one, else the chain of
/// causes, else what the upload routes say.
async fn answered(request: Request) -> Result<Response, ApiError> {
    let response = request.send().await.map_err(Failure::from)?;
    success(response)
}

/// As `answered`, and reads the answer's JSON.
async fn read<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    Ok(answered(request).await?.json()?)
}

fn success(response: Response) -> Result<Response, ApiError> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        message: String,
        #[serde(default)]
        error_message: String,
        #[serde(default)]
        details: Vec<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        #[serde(default)]
        message: String,
    }
    if response.is_success() {
        return Ok(response);
    }
    let status = response.status;
    let Ok(body) = response.json::<Body>() else {
        let message = response.success().err().map_or_else(String::new, |failure| failure.message);
        return Err(ApiError::Refused { status, message });
    };
    let detail = body.details.into_iter().map(|detail| detail.message).find(|text| !text.is_empty());
    // For its own errors the server shows nothing but this text; the cause is in the chain.
    let detail = detail.filter(|text| text != "Internal Server Error");
    let text = detail.unwrap_or(if body.message.is_empty() { body.error_message } else { body.message });
    let line: String = text.lines().next().unwrap_or_default().chars().take(300).collect();
    Err(ApiError::Refused { status, message: format!("the server answers {status}: {line}") })
}

/// Deletes something; what is gone already is fine.
async fn delete(tenant: &Tenant, operation: &str, url: String) -> Result<(), ApiError> {
    let request = tenant.request(operation, "DELETE", url).expect(200).expect(404);
    let response = request.send().await.map_err(Failure::from)?;
    if response.status == 404 { Ok(()) } else { success(response).map(|_| ()) }
}

/// A filter of list requests out of predicates, all of which must hold.
pub fn filter(predicates: &[Value]) -> String {
    // The server decodes the value of a filter once more after HTTP has: only these two characters would change.
    json!({ "predicates": predicates }).to_string().replace('%', "%25").replace('+', "%2B")
}

/// A predicate for a filter.
pub fn equals(key: &str, value: &str) -> Value {
    json!({"operation": "EQUALS", "key": key, "string_value": value})
}

/// A path below the API's base with those query parameters that are not empty.
pub fn url(path: &str, query: &[(&str, &str)]) -> String {
    let form = form(query.iter().copied().filter(|(_, value)| !value.is_empty()));
    if form.is_empty() { format!("{BASE}{path}") } else { format!("{BASE}{path}?{form}") }
}

/// How long a request took: by the host's measurement, from its first byte to the last byte of the answer.
pub fn service_time(response: &Response) -> Duration {
    Duration::from_nanos(response.timing.duration)
}

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::http::Timing;

    use super::*;

    fn message(status: u16, body: &str) -> String {
        let timing = Timing { blocked: 0, connecting: 0, tls: 0, sending: 0, waiting: 0, receiving: 0, duration: 0 };
        let error = success(Response { status, headers: Vec::new(), body: body.into(), timing }).err().unwrap();
        assert_eq!(error.is_refusal(), status < 500);
        Failure::from(error).message
    }

    #[test]
    fn failures_use_the_servers_words() {
        let user = r#"{"code":5,"message":"a: b: Run R not found","details":[{"message":"Run R not found"}]}"#;
        assert_eq!(message(404, user), "the server answers 404: Run R not found");
        let internal = r#"{"code":13,"message":"a: b","details":[{"message":"Internal Server Error"}]}"#;
        assert_eq!(message(500, internal), "the server answers 500: a: b");
        let upload = r#"{"error_message":"bad file","error_details":"stack"}"#;
        assert_eq!(message(400, upload), "the server answers 400: bad file");
        assert_eq!(message(502, "<html>"), "answered 502: <html>");
    }

    #[test]
    fn queries_leave_empty_values_out() {
        assert_eq!(url("/runs", &[("a", ""), ("b", "x y"), ("c", "ü&=")]), "/apis/v2beta1/runs?b=x%20y&c=%C3%BC%26%3D");
        assert_eq!(url("/runs", &[("a", "")]), "/apis/v2beta1/runs");
    }

    #[test]
    fn what_the_server_would_decode_twice_is_encoded_twice() {
        assert!(filter(&[equals("name", "50%+1")]).contains("50%25%2B1"));
    }

    #[test]
    fn a_date_header_names_a_second() {
        assert_eq!(http_date("Sun, 22 Nov 2026 10:15:04 GMT"), Some(1_795_342_504.0));
        assert_eq!(http_date("soon"), None);
    }
}
