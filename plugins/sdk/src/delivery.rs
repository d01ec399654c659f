//! Messages to other services, which the host delivers: sent again while the service is busy, kept in the run's folder if they
//! do not arrive. For reporters.

use crate::{Failure, http::Request, http::Response};

pub use crate::bindings::kperf::plugin::delivery::Message;

impl Message {
    /// A message; a newer one with the same key takes the place of one that has not arrived.
    pub fn new(key: impl Into<String>, request: Request) -> Self {
        Self { key: key.into(), request, accepted: None }
    }

    /// For services that refuse with a status of 200: where in the answer's JSON `true` has to stand (`/ok`).
    #[must_use]
    pub fn accepted(mut self, pointer: &str) -> Self {
        self.accepted = Some(pointer.into());
        self
    }

    /// Delivers it and waits for the answer with which it was taken.
    ///
    /// # Errors
    /// A failure that says why it has not arrived yet; the host keeps it and tries again.
    pub async fn deliver(self) -> Result<Response, Failure> {
        crate::bindings::kperf::plugin::delivery::deliver(self).await
    }
}
