//! HTTP requests, sent and measured by the host.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};

use crate::Failure;
pub use crate::bindings::kperf::plugin::http::{BodyMode, Chunk, Error, Request, Response, StatusRange, Timing};

/// Stands for a secret in a value, see [`Request::json_with_secret`]: characters of the private use area, which no text of
/// people's has.
pub const SECRET: &str = "\u{e0f0}secret\u{e0f1}";

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A segment of a path, or a value of a query or a form, percent-encoded (RFC 3986, section 2.1).
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, &RESERVED).to_string()
}

/// Names and values as a query or a form has them: `name=a%20b&page=2`.
pub fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut form = String::new();
    for (name, value) in pairs {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        form.extend(utf8_percent_encode(value, &RESERVED));
    }
    form
}

impl Request {
    /// A request with a method; `operation` becomes a metric tag, `url` is absolute or a path below the target.
    pub fn new(operation: &str, method: &str, url: impl Into<String>) -> Self {
        Self {
            operation: operation.into(),
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            credential: None,
            timeout: None,
            redirects: 0,
            expected: Vec::new(),
            response_headers: Vec::new(),
            response_body: BodyMode::Keep,
            tags: Vec::new(),
        }
    }

    /// A `GET` request; see [`Request::new`].
    pub fn get(operation: &str, url: impl Into<String>) -> Self {
        Self::new(operation, "GET", url)
    }

    /// A `POST` request; see [`Request::new`].
    pub fn post(operation: &str, url: impl Into<String>) -> Self {
        Self::new(operation, "POST", url)
    }

    /// A `DELETE` request; see [`Request::new`].
    pub fn delete(operation: &str, url: impl Into<String>) -> Self {
        Self::new(operation, "DELETE", url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds bytes to the body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body.push(Chunk::Bytes(bytes.into()));
        self
    }

    /// Makes a value the body, as JSON, with its content type.
    ///
    /// # Errors
    /// A failure of the kind `json` when the value can't be written as JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Failure> {
        let body = serde_json::to_vec(value)
            .map_err(|error| Failure::new("json", format!("the request's body can't be written as JSON: {error}")))?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// Makes a value the body, as JSON, with its content type. Where the value has the text [`SECRET`], the host writes the secret
    /// of this credential.
    ///
    /// # Errors
    /// A failure of the kind `json` when the value can't be written as JSON.
    pub fn json_with_secret(self, value: &impl Serialize, credential: &str) -> Result<Self, Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new("json", format!("the request's body can't be written as JSON: {error}")))?;
        let mut request = self.header("content-type", "application/json");
        for (at, piece) in text.split(SECRET).enumerate() {
            if at > 0 {
                request.body.push(Chunk::Secret(credential.into()));
            }
            request = request.body(piece);
        }
        Ok(request)
    }

    /// Adds a status that counts as a success, for `http_req_failed`. Without any, 200 to 399 do.
    #[must_use]
    pub fn expect(mut self, status: u16) -> Self {
        self.expected.push(StatusRange { first: status, last: status });
        self
    }

    /// Throws the response's body away in the host: it is read and counted, and costs the plugin nothing.
    #[must_use]
    pub fn discard(mut self) -> Self {
        self.response_body = BodyMode::Discard;
        self
    }

    /// Sends it and waits for the whole response. A status of 400 and above is a response: see [`Response::success`].
    ///
    /// # Errors
    /// Why there is no response; turns into a [`Failure`] with `?`.
    pub async fn send(self) -> Result<Response, Error> {
        crate::bindings::kperf::plugin::http::send(self).await
    }
}

impl Response {
    /// Whether the status is one from 200 to 399.
    pub fn is_success(&self) -> bool {
        (200..400).contains(&self.status)
    }

    /// The response, if its status is one from 200 to 399.
    ///
    /// # Errors
    /// Otherwise a failure of the kind `http-status` with the status and the beginning of the body.
    pub fn success(self) -> Result<Self, Failure> {
        if self.is_success() {
            return Ok(self);
        }
        let text = String::from_utf8_lossy(&self.body);
        let line: String = text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Err(Failure::new("http-status", format!("answered {}: {line}", self.status)))
    }

    /// Reads the body as JSON into a type of the plugin's own.
    ///
    /// # Errors
    /// A failure of the kind `json` when the body is not what the type expects.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::new("json", format!("the response is not the JSON that was expected: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Response {
        let timing = Timing { blocked: 0, connecting: 0, tls: 0, sending: 0, waiting: 0, receiving: 0, duration: 0 };
        Response { status, headers: Vec::new(), body: body.into(), timing }
    }

    #[test]
    fn what_is_not_plain_is_encoded() {
        assert_eq!(encode("a b/ü~1.json"), "a%20b%2F%C3%BC~1.json");
        assert_eq!(encode("sum(x{a=\"b\"}) + 1"), "sum%28x%7Ba%3D%22b%22%7D%29%20%2B%201");
    }

    #[test]
    fn a_form_has_names_and_encoded_values() {
        assert_eq!(form([("a", "b c"), ("d", "`=1&")]), "a=b%20c&d=%60%3D1%26");
        assert_eq!(form([]), "");
    }

    #[test]
    fn a_failed_status_shows_the_body_on_one_line() {
        let failure = response(503, "no\nroom").success().unwrap_err();
        assert_eq!(failure, Failure::new("http-status", "answered 503: no room"));
        assert!(response(204, "").success().is_ok());
    }

    #[test]
    fn a_json_body_brings_its_content_type() {
        let request = Request::post("create", "/x").json(&serde_json::json!({"a": 1})).unwrap();
        assert_eq!(request.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        assert_eq!(request.body, [Chunk::Bytes(b"{\"a\":1}".to_vec())]);
    }

    #[test]
    fn a_secret_is_a_piece_of_its_own() {
        let body = serde_json::json!({"key": SECRET, "n": 1});
        let request = Request::post("send", "/x").json_with_secret(&body, "pager").unwrap();
        let (before, after) = (b"{\"key\":\"".to_vec(), b"\",\"n\":1}".to_vec());
        assert_eq!(request.body, [Chunk::Bytes(before), Chunk::Secret("pager".into()), Chunk::Bytes(after)]);
    }

    #[test]
    fn json_of_another_shape_is_a_failure() {
        assert_eq!(response(200, "{}").json::<u8>().unwrap_err().kind, "json");
    }
}
