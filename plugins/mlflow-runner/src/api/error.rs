//! Why a request did not bring what was asked for, and what that says about the server.

use kperf_plugin_sdk::{
    Failure,
    http::{Error, Response},
};
use serde::Deserialize;

/// What the server says where files do not go through it, with status 503.
const NO_PROXY: &str = "--no-serve-artifacts";

/// The errors of its database driver that the server hands on, with status 503: SQLAlchemy names the class.
const DATABASE: [&str; 2] = ["OperationalError", "InterfaceError"];

/// How the server's own words begin when its pool of database connections is used up. It says so with status 400.
const POOL: &str = "QueuePool limit";

/// Kinds of errors: tags, and kinds of failed iterations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Status 429 or 503, or no database connection left.
    Overload,
    NotFound,
    /// It is there already.
    Conflict,
    /// Not allowed, or not known who asks.
    Denied,
    /// The server can't use its database.
    Database,
    /// Any other status from 300 to 499.
    ClientError,
    ServerError,
    /// No connection, or it broke.
    Connection,
    Timeout,
    /// An answer that is none.
    BadAnswer,
    /// The run of the suite is being stopped.
    Interrupted,
    /// The host did not let the request out.
    Refused,
}

impl ErrorKind {
    /// The value of the tag `error`, and the kind of a failed iteration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Database => "database",
            Self::ClientError => "client-error",
            Self::ServerError => "server-error",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::BadAnswer => "bad-answer",
            Self::Interrupted => "interrupted",
            Self::Refused => "refused",
        }
    }

    /// The kind of an answer with a failed status.
    fn of(status: u16, code: &str, message: &str) -> Self {
        match (status, code) {
            _ if message.starts_with(POOL) => Self::Overload,
            (503, _) if message.contains(NO_PROXY) => Self::ClientError,
            (500.., _) if DATABASE.iter().any(|class| message.contains(class)) => Self::Database,
            (429 | 503, _) => Self::Overload,
            (409, _) | (_, "RESOURCE_ALREADY_EXISTS") => Self::Conflict,
            (401 | 403, _) => Self::Denied,
            (404, _) => Self::NotFound,
            (300..500, _) => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

/// A request that did not bring what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    pub kind: ErrorKind,
    /// For people, with the server's own words.
    pub message: String,
}

impl ApiError {
    /// An answer that can't be right.
    pub fn bad_answer(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::BadAnswer, message: message.into() }
    }

    /// Whether the server said that it did nothing. An overloaded one may have done half of it, and after all other errors it is unknown.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Denied | ErrorKind::ClientError | ErrorKind::Refused
        )
    }

    /// Whether the server says that artifacts do not go through it, so that it has none to remove.
    pub fn has_no_artifacts(&self) -> bool {
        self.kind == ErrorKind::ClientError && self.message.contains(NO_PROXY)
    }

    /// Whether trying again may help.
    pub fn is_passing(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Overload
                | ErrorKind::Database
                | ErrorKind::ServerError
                | ErrorKind::Connection
                | ErrorKind::Timeout
        )
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::new(error.kind.word(), error.message)
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self::bad_answer(failure.message)
    }
}

/// What the host's error for an operation means.
pub fn unanswered(operation: &str, error: Error) -> ApiError {
    let kind = match &error {
        Error::Connect(_) | Error::Tls(_) | Error::Protocol(_) => ErrorKind::Connection,
        Error::Timeout(_) => ErrorKind::Timeout,
        Error::TooLarge(_) => ErrorKind::BadAnswer,
        Error::Interrupted(_) => ErrorKind::Interrupted,
        Error::Denied(_) | Error::Invalid(_) => ErrorKind::Refused,
    };
    ApiError { kind, message: format!("{operation}: {}", Failure::from(error).message) }
}

/// The answer, if it is a success: a status of the 200s, and no error code in its body.
pub fn judge(operation: &str, response: Response) -> Result<Response, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Body {
        error_code: String,
        message: String,
        detail: String,
    }
    let success = (200..300).contains(&response.status);
    if success && !names_an_error(&response.body) {
        return Ok(response);
    }
    let status = response.status;
    let body: Option<Body> = serde_json::from_slice(&response.body).ok();
    if success && body.as_ref().is_none_or(|body| body.error_code.is_empty()) {
        return Ok(response);
    }
    let Some(body) = body else {
        let text = String::from_utf8_lossy(&response.body);
        let kind = ErrorKind::of(status, "", text.trim_start());
        return Err(ApiError { kind, message: format!("{operation} answers {status}: {}", line(&text)) });
    };
    let text = if body.message.is_empty() { &body.detail } else { &body.message };
    let kind = if success { ErrorKind::BadAnswer } else { ErrorKind::of(status, &body.error_code, text) };
    Err(ApiError { kind, message: format!("{operation} answers {status} {}: {}", body.error_code, line(text)) })
}

/// Whether a body is JSON that may be an error's. Only then is it worth being read for that.
fn names_an_error(body: &[u8]) -> bool {
    const CODE: &[u8] = b"\"error_code\"";
    let start = body.iter().find(|byte| !byte.is_ascii_whitespace());
    start == Some(&b'{') && body.windows(CODE.len()).any(|window| window == CODE)
}

/// The beginning of a text, on one line.
fn line(text: &str) -> String {
    let line = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(200).collect()
}

#[cfg(test)]
mod tests {
    use kperf_plugin_sdk::http::Timing;

    use super::*;

    fn kind(status: u16, body: &str) -> Option<ErrorKind> {
        let timing = Timing { blocked: 0, connecting: 0, tls: 0, sending: 0, waiting: 0, receiving: 0, duration: 0 };
        let response = Response { status, headers: Vec::new(), body: body.into(), timing };
        judge("op", response).err().map(|error| error.kind)
    }

    #[test]
    fn errors_are_told_apart() {
        let error = |code: &str, message: &str| format!(r#"{{"error_code":"{code}","message":"{message}"}}"#);
        let pool = error("BAD_REQUEST", "QueuePool limit of size 5 overflow 10 reached, connection timed out");
        assert_eq!(kind(400, &pool), Some(ErrorKind::Overload));
        assert_eq!(kind(503, "busy"), Some(ErrorKind::Overload));
        let down = error("TEMPORARILY_UNAVAILABLE", "(psycopg.OperationalError) connection failed: Connection refused");
        assert_eq!(kind(503, &down), Some(ErrorKind::Database));
        assert_eq!(kind(500, &error("INTERNAL_ERROR", "(psycopg2.InterfaceError) closed")), Some(ErrorKind::Database));
        let elsewhere = "Endpoint disabled due to the mlflow server running with `--no-serve-artifacts`.";
        assert_eq!(kind(503, elsewhere), Some(ErrorKind::ClientError));
        assert_eq!(kind(429, ""), Some(ErrorKind::Overload));
        // The same words elsewhere are somebody's name.
        let named = error("INVALID_PARAMETER_VALUE", "no such thing: QueuePool limit");
        assert_eq!(kind(400, &named), Some(ErrorKind::ClientError));
        assert_eq!(kind(400, &error("RESOURCE_ALREADY_EXISTS", "there")), Some(ErrorKind::Conflict));
        assert_eq!(kind(404, &error("RESOURCE_DOES_NOT_EXIST", "gone")), Some(ErrorKind::NotFound));
        assert_eq!(kind(404, "<html>"), Some(ErrorKind::NotFound));
        assert_eq!(kind(401, "You are not authenticated."), Some(ErrorKind::Denied));
        assert_eq!(kind(403, "Permission denied"), Some(ErrorKind::Denied));
        assert_eq!(kind(500, &error("INVALID_STATE", "not empty")), Some(ErrorKind::ServerError));
        assert_eq!(kind(302, ""), Some(ErrorKind::ClientError));
    }

    #[test]
    fn a_success_is_any_body_without_an_error_code() {
        assert_eq!(kind(200, ""), None);
        assert_eq!(kind(200, "{}"), None);
        assert_eq!(kind(201, r#"{"name":"\"error_code\""}"#), None);
        assert_eq!(kind(200, "plain \"error_code\""), None);
        assert_eq!(kind(200, "\n{\"error_code\":\"INTERNAL_ERROR\",\"message\":\"x\"}"), Some(ErrorKind::BadAnswer));
    }

    #[test]
    fn only_a_clear_no_is_a_refusal() {
        let error = |kind| ApiError { kind, message: String::new() };
        assert!(error(ErrorKind::Conflict).is_refusal() && error(ErrorKind::ClientError).is_refusal());
        for kind in [
            ErrorKind::Overload,
            ErrorKind::ServerError,
            ErrorKind::Connection,
            ErrorKind::Timeout,
            ErrorKind::BadAnswer,
            ErrorKind::Interrupted,
        ] {
            assert!(!error(kind).is_refusal(), "{kind:?}");
        }
    }

    #[test]
    fn messages_are_one_line_with_the_servers_words() {
        let timing = Timing { blocked: 0, connecting: 0, tls: 0, sending: 0, waiting: 0, receiving: 0, duration: 0 };
        let body = r#"{"detail":"Invalid\npath"}"#.into();
        let error = judge("op", Response { status: 400, headers: Vec::new(), body, timing }).unwrap_err();
        assert_eq!(error.message, "op answers 400 : Invalid path");
    }
}
