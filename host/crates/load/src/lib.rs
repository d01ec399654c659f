//! Load: when an iteration starts and how many users run.
//!
//! In comes a [`Schedule`] (an [`Executor`] with k6's name and meaning, a start delay, a graceful stop), the [`Slice`] of it
//! that this worker drives, and a [`Users`] that makes virtual users. Out goes a call of [`User::iterate`] at each right
//! instant, and counts in [`Progress`]. [`Pacer`] decides *when* and is pure; [`drive`] sleeps.
//!
//! What an iteration does, what is measured and what a suite looks like must stay unknown here: nothing of the other crates,
//! and no WebAssembly.
//!
//! A capacity search has no pacer: which rate comes next depends on how the target bore the ones before. [`Search`] decides
//! (pure), [`Backlog`] tells whether work piles up (pure), and whoever judges the steps gives an [`Order`] for each.
//!
//! Workers never talk to each other. Users, arrivals and iterations are dealt out by number (`number % count == index`),
//! so any number of threads or machines adds up to the whole exactly.

mod backlog;
mod closed;
mod crew;
mod drive;
mod executor;
mod open;
mod pacer;
mod progress;
mod rate;
mod search;
mod signal;
mod slice;
mod timer;
mod user;

pub use backlog::Backlog;
pub use drive::{Ending, Finished, Order, Shared, drive};
pub use executor::{CapacitySearch, Executor, Schedule, Stage};
pub use pacer::{Pacer, StageAt, Target};
pub use progress::{Counts, Progress};
pub use rate::{Rate, RateError};
pub use search::{Search, SearchPlan, SearchState, StepOutcome, Tally};
pub use signal::{Phase, Signals, signals};
pub use slice::{Slice, SliceError};
pub use user::{Iteration, User, Users};
