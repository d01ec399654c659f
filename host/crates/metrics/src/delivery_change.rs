//! What becomes of reporters' messages.

use serde::{Deserialize, Serialize};

/// What became of a reporter's message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryChange {
    /// The reporter's name in the suite.
    pub reporter: String,
    /// What the message is about; a later one with the same key takes its place.
    pub key: String,
    /// Whether the service has taken it; otherwise it is kept in the outbox.
    pub arrived: bool,
    /// How often it was tried.
    pub tries: u32,
}
