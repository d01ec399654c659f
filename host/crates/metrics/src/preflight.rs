//! What plugins have found out about their targets before anything is set up.

use serde::{Deserialize, Serialize};

/// How a preflight check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// The target is usable in this respect.
    Pass,
    /// It is usable with a reservation.
    Warn,
    /// It is not usable: no load is made.
    Fail,
}

/// Something that a plugin's preflight has looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreflightCheck {
    /// What was looked at, in a word or two: `server reachable`.
    pub name: String,
    /// How it went.
    pub outcome: CheckOutcome,
    /// What was seen, redacted.
    pub message: String,
}
