//! Load: when an iteration starts and how many users run.
//!
//! In comes a [`kperf_schedule::Schedule`], the [`kperf_schedule::Slice`] of it that this worker drives, and a [`Users`] that
//! makes virtual users. Out goes a call of [`User::iterate`] at each right instant, and counts in [`Progress`]. `schedule`
//! decides *when* and is pure; [`drive`] sleeps.
//!
//! What an iteration does, what is measured and what a suite looks like must stay unknown here: nothing of the other crates
//! but `schedule`, and no WebAssembly.
//!
//! The rates of a capacity search are not known beforehand: the capacity controller gives an [`Order`] for each trial.
//!
//! Workers never talk to each other. Users, arrivals and iterations are dealt out by number (`number % count == index`),
//! so any number of threads or machines adds up to the whole exactly.

mod closed;
mod context;
mod drive;
mod open;
mod pool;
mod progress;
mod shared;
mod signal;
mod timer;
mod user;

pub use context::Ending;
pub use drive::{Finished, drive};
pub use progress::{Counts, Progress};
pub use shared::{Order, Shared};
pub use signal::{Signal, SignalReceiver, signal_channel};
pub use user::{Iteration, User, Users};
