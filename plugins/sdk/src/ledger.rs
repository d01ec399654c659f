//! What the plugin creates on the target, so that nothing is left behind.
//!
//! ```ignore
//! let thing = Pending::new("run", &name);
//! let run: Run = match create(&name).await {
//!     Ok(run) => run,
//!     Err(refused) => return Err(thing.refused(refused)),
//! };
//! thing.created(&run.run_id);
//! ```

use crate::{
    Failure,
    bindings::kperf::plugin::ledger::{created, creating},
};

pub use crate::bindings::kperf::plugin::ledger::removed;

/// Something that is about to be created. Dropped without a word it stays open in the ledger: the request may have
/// reached the target although no answer came back.
#[must_use = "say what became of it"]
pub struct Pending(u64);

impl Pending {
    /// Notes that something is about to be created; `kind` is a short word from a small set, `name` is enough to find it
    /// on the target if no id ever comes back.
    pub fn new(kind: &str, name: &str) -> Self {
        Self(creating(kind, name))
    }

    /// The target has created it under this id. Returns the entry's number, for [`removed`].
    pub fn created(self, id: &str) -> u64 {
        created(self.0, id);
        self.0
    }

    /// The target has answered that it did not create it. Hands the failure through.
    pub fn refused(self, failure: Failure) -> Failure {
        removed(self.0);
        failure
    }
}
