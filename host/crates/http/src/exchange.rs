//! What came of a request: response, timing, bytes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};

use crate::error::Error;

/// Where the time of a request went. The phases follow each other; after redirects each is the sum over all hops.
///
/// With HTTP/1.1 the borders are seen at the socket: `sending` ends with the last write before the first byte received.
/// With HTTP/2 `sending` ends when the connection has taken the last of the body, which may still wait for flow control,
/// and `waiting` ends with the response's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Waiting for a connection of the pool.
    pub blocked: Duration,
    /// Name resolution and TCP; zero on a reused connection.
    pub connecting: Duration,
    /// TLS handshake; zero on a reused connection and without TLS.
    pub tls: Duration,
    /// Sending the request's head and body.
    pub sending: Duration,
    /// From the last byte sent to the first byte received.
    pub waiting: Duration,
    /// From the first byte to the last.
    pub receiving: Duration,
}

impl Timing {
    /// Service time: sending, waiting and receiving.
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }
}

/// A response, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The protocol's version that was spoken.
    pub version: Version,
    /// The headers; without `content-encoding` and `content-length` if the body was decoded.
    pub headers: HeaderMap,
    /// The body, decoded if that was wanted; empty if it was not kept.
    pub body: Bytes,
    /// The body's size in bytes as it was received, before decoding.
    pub body_bytes: u64,
}

/// A request that is over.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The last response, or why there is none.
    pub result: Result<Response, Error>,
    /// Where the time went; also filled, as far as it got, if there is no response.
    pub timing: Timing,
    /// When `send` was first polled.
    pub started: Instant,
    /// Bytes written, heads and bodies, before encryption. Exact for HTTP/1.1, an estimate of the heads for HTTP/2.
    pub sent_bytes: u64,
    /// Bytes read, heads and bodies, after decryption. Exact for HTTP/1.1, an estimate of the heads for HTTP/2.
    pub received_bytes: u64,
    /// Whether the (last) connection had carried a request before.
    pub reused: bool,
    /// How many redirects were followed.
    pub redirects: u32,
}

/// What is known while an exchange goes on. The response is put here once; handing it up call by call would copy it.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) response: Option<Response>,
    pub(crate) timing: Timing,
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    pub(crate) reused: bool,
    pub(crate) redirects: u32,
}

impl Measured {
    pub(crate) fn exchange(self, started: Instant, result: Result<(), Error>) -> Exchange {
        let Self { response, timing, sent_bytes, received_bytes, reused, redirects } = self;
        let result = result.and_then(|()| response.ok_or(Error::Interrupted));
        Exchange { result, timing, started, sent_bytes, received_bytes, reused, redirects }
    }
}
