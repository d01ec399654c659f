//! Why there is no response.

use std::fmt;
use std::time::Duration;

/// A part of an exchange, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Waiting for a connection of the pool.
    Blocked,
    /// Name resolution and TCP.
    Connecting,
    /// TLS handshake.
    Tls,
    /// Sending the request.
    Sending,
    /// From the last byte sent to the first byte received.
    Waiting,
    /// From the first byte to the last.
    Receiving,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocked => "waiting for a free connection",
            Self::Connecting => "connecting",
            Self::Tls => "in the tls handshake",
            Self::Sending => "sending the request",
            Self::Waiting => "waiting for the response",
            Self::Receiving => "receiving the response",
        })
    }
}

/// Why there is no response. No message holds a header's value, a path or a query: they may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request, the URL or the configuration itself is wrong.
    #[error("invalid request: {0}")]
    Invalid(String),
    /// The caller's [`Redirects`](crate::Redirects) refused a hop; the text names its origin.
    #[error("redirect to {0} refused; grant this origin or follow fewer redirects")]
    Denied(String),
    /// No connection: refused, unreachable, unknown name.
    #[error("no connection: {0}")]
    Connect(String),
    /// The TLS handshake failed, or its configuration is wrong.
    #[error("tls failed: {0}")]
    Tls(String),
    /// The time was up.
    #[error("timed out after {limit:?} while {phase}")]
    Timeout {
        /// What was going on.
        phase: Phase,
        /// The limit that was reached: the request's, or the one for connecting.
        limit: Duration,
    },
    /// The response's body, decoded if decoding was wanted, is larger than the limit.
    #[error("response body larger than {limit} bytes; raise the body limit or discard the body")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The connection broke, the peer did not speak HTTP, or the request's body could not be read.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// The client was stopped.
    #[error("interrupted: the run is being stopped")]
    Interrupted,
}

impl Error {
    /// A broken exchange, told with the whole chain of causes.
    pub(crate) fn protocol(error: &dyn std::error::Error) -> Self {
        Self::Protocol(chain(error))
    }
}

/// An error and its causes on one line; hyper's own message often leaves the cause out.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
