//! A capability that ends the call of the guest that used it.

use crate::call::fault::Fault;

/// A capability that ends the guest's call: going on would do harm.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Stopped {
    pub(crate) fault: Fault,
    pub(crate) message: String,
}
