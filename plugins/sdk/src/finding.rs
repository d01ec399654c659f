//! Findings: a line of the preflight each.

use crate::{Finding, Outcome};

impl Finding {
    /// A check that passes: its name, and what was seen.
    pub fn pass(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Pass, message: message.into() }
    }

    /// A check that deserves a look; the run goes on.
    pub fn warn(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Warn, message: message.into() }
    }

    /// A check that keeps the run from starting; the message says what to do next.
    pub fn fail(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Fail, message: message.into() }
    }
}
