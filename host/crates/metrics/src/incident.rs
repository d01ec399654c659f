//! Something that went wrong on the way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that went wrong and did not end the run. Equal kinds of one source add up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Where it happened: a scenario, a plugin, `host`.
    pub source: String,
    /// A short word from a small set: `trap`, `series-limit`.
    pub kind: String,
    /// What happened and what to do about it.
    pub message: String,
    /// How often it happened.
    pub count: u64,
}

impl Incident {
    /// An incident that happened once.
    #[must_use]
    pub fn once(source: &str, kind: &str, message: impl Into<String>) -> Self {
        Self { source: source.to_owned(), kind: kind.to_owned(), message: message.into(), count: 1 }
    }
}
