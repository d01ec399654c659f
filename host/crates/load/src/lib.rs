//! Load: when an iteration starts and how many users run.
//!
//! In comes a [`Schedule`] (an [`Executor`] with k6's name and meaning, a start delay, a graceful stop), the [`Slice`] of it
//! that this worker drives, and a [`Users`] that makes virtual users. Out goes a call of [`User::iterate`] at each right
//! instant, and counts in [`Progress`]. [`Pacer`] decides *when* and is pure; [`drive`] sleeps.
//!
//! What an iteration does, what is measured and what a suite looks like must stay unknown here: nothing of the other crates,
//! and no WebAssembly.
//!
//! Workers never talk to each other. Users, arrivals and iterations are dealt out by number (`number % count == index`),
//! so any number of threads or machines adds up to the whole exactly.

mod closed;
mod crew;
mod drive;
mod executor;
mod open;
mod pacer;
mod progress;
mod rate;
mod signal;
mod slice;
mod timer;
mod user;

pub use drive::{Ending, Finished, Shared, drive};
pub use executor::{Executor, Schedule, Stage};
pub use pacer::{Pacer, StageAt, Target};
pub use progress::{Counts, Progress};
pub use rate::{Rate, RateError};
pub use signal::{Phase, Signals, signals};
pub use slice::{Slice, SliceError};
pub use user::{Iteration, User, Users};
