//! One line of a preflight.

use crate::{Finding, Outcome};

impl Finding {
    /// All is well: what was checked, and what was seen.
    pub fn pass(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Pass, message: message.into() }
    }

    /// It works, but deserves a look.
    pub fn warn(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Warn, message: message.into() }
    }

    /// The run can't start; the message says what to do next.
    pub fn fail(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Fail, message: message.into() }
    }
}
