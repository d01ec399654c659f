//! Failures: a kind for tags and a line for people.

use crate::{Failure, http::Error};

impl Failure {
    /// A failure of a kind (a short word from a small set, it becomes a metric tag) with one line for people.
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into() }
    }

    /// A failure of the kind `params`: the suite's parameters make no sense, and why.
    pub fn params(message: impl Into<String>) -> Self {
        Self::new("params", message)
    }

    /// The same failure, whose message begins with where it happened: `runs.yaml: the file is empty`.
    #[must_use]
    pub fn at(self, place: impl std::fmt::Display) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (kind, message) = match error {
            Error::Denied(message) => ("denied", message),
            Error::Invalid(message) => ("invalid", message),
            Error::Connect(message) => ("connect", message),
            Error::Tls(message) => ("tls", message),
            Error::Timeout(message) => ("timeout", message),
            Error::TooLarge(message) => ("too-large", message),
            Error::Protocol(message) => ("protocol", message),
            Error::Interrupted(message) => ("interrupted", message),
        };
        Self::new(kind, message)
    }
}
