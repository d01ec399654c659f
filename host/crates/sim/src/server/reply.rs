//! Whole answers.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use http_body_util::Full;

use crate::kfp::error::{ApiError, Code};

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// An answer that is there as a whole.
pub(crate) type Reply = Response<Full<Bytes>>;

/// A plain text.
pub(crate) fn plain(status: StatusCode, text: &str) -> Reply {
    reply(status, TEXT, text.as_bytes().to_vec())
}

/// A value as JSON.
pub(crate) fn json(status: u16, body: &impl serde::Serialize) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match serde_json::to_vec(body) {
        Ok(body) => reply(status, JSON, body),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// A refusal by a gateway route.
pub(crate) fn refused(error: &ApiError) -> Reply {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = reply(status, JSON, error.json());
    if error.code == Code::Unauthenticated
        && let Ok(message) = HeaderValue::from_str(&error.message)
    {
        reply.headers_mut().insert(WWW_AUTHENTICATE, message);
    }
    reply
}

/// An answer with a body of this type.
pub(crate) fn reply(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}
