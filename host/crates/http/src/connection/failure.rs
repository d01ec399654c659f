//! A request that failed on its connection.

use crate::body::SendBody;
use crate::error::Error;

/// Why there is no response, and whether the request may be sent on another connection.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The request itself, if nothing of it was sent.
    pub(crate) unsent: Option<Box<http::Request<SendBody>>>,
    /// Whether the connection broke before any byte of a response.
    pub(crate) silent: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, unsent: None, silent: false }
    }
}
