//! What the engine drives.

use std::future::Future;
use std::time::Instant;

/// One call of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iteration {
    /// How many iterations this user has started before this one.
    pub number: u64,
    /// Open model: the instant at which it ought to have started, however late it did. Response times count from here.
    pub due: Option<Instant>,
}

/// One virtual user, on one worker's thread.
pub trait User {
    /// Runs one iteration to its end. The future is dropped when the iteration has to end before its time.
    fn iterate(&mut self, iteration: Iteration) -> impl Future<Output = ()>;
}

/// Makes a worker's users. Called on the worker's thread and expected to be quick: what waits belongs in the first iteration.
pub trait Users {
    /// The type of the users.
    type User: User + 'static;

    /// User `id`; ids count from 0 through the whole scenario. A user that left in a ramp-down is made anew when it comes
    /// back, and its iterations are numbered on.
    fn user(&self, id: u32) -> Self::User;
}
