//! How an iteration ended.

use std::sync::Arc;

use crate::call::fault::Fault;

/// How an iteration ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IterationOutcome {
    /// As it should.
    Ok,
    /// The plugin says that it failed, with its word for it.
    Failed {
        /// Fit to be a tag.
        kind: Arc<str>,
    },
    /// The plugin broke down or went beyond a limit; the fault's name is the kind.
    Fault(Fault),
    /// The run was stopped before it ended.
    Interrupted,
}

impl From<Fault> for IterationOutcome {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
