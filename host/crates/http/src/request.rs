//! A request, before it is sent: what callers ask for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method, Uri};

use crate::body::Body;

/// A request for an [`Origin`](crate::Origin).
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query below the origin.
    pub path: PathAndQuery,
    /// All headers that the caller wants, `accept-encoding` included. `host` and `content-length` are added.
    pub headers: HeaderMap,
    /// The body. Every kind of body can be sent again, on a retry or after a redirect.
    pub body: Body,
    /// From the first poll to the last byte, over all redirects. None waits for ever.
    pub timeout: Option<Duration>,
    /// The largest body to accept in bytes: of the decoded body if it is decoded, otherwise as received.
    pub body_limit: u64,
    /// Whether the body is wanted. If not it is read, counted and thrown away, without decoding.
    pub keep_body: bool,
    /// Whether to decode a `gzip` or `deflate` body.
    pub decompress: bool,
    /// How to follow redirects; None hands a redirect back as the response.
    pub redirects: Option<Arc<Redirects>>,
}

impl Request {
    /// A request without headers, body and timeout, that keeps at most 16 MiB of body and follows no redirect.
    pub fn new(method: Method, path: PathAndQuery) -> Self {
        Self {
            method,
            path,
            headers: HeaderMap::new(),
            body: Body::Empty,
            timeout: None,
            body_limit: 16 << 20,
            keep_body: true,
            decompress: true,
            redirects: None,
        }
    }
}

/// How to follow redirects.
pub struct Redirects {
    /// How many to follow; the one after that is handed back as the response.
    pub limit: u32,
    /// Asked before every hop with the absolute URL; `false` ends the request with [`Error::Denied`](crate::Error::Denied).
    pub permit: Box<dyn Fn(&Uri) -> bool + Send + Sync>,
    /// Headers that must not reach another origin, beyond `authorization`, `proxy-authorization` and `cookie`.
    pub sensitive: Vec<HeaderName>,
}

impl fmt::Debug for Redirects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirects")
            .field("limit", &self.limit)
            .field("sensitive", &self.sensitive)
            .finish_non_exhaustive()
    }
}
