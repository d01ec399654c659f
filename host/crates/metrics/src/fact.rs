//! What plugins know about the system under test.

use serde::{Deserialize, Serialize};

/// Something that a plugin knows about the system under test: `kubernetes` is `v1.33.1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The scenario or collector that noted it.
    pub source: String,
    /// What it is about, `[a-z_][a-z0-9_]*`.
    pub key: String,
    /// What is known, redacted.
    pub value: String,
}
