//! The schedule of a load: data and pure functions, with no clock, no thread and no runtime.
//!
//! In comes an [`Executor`] with k6's name and meaning, as a suite asks for it. Out come answers about time: [`Pacer`] says
//! how many users take part at a moment and when an arrival is due, [`Slice`] which of them one worker drives, and
//! [`Search`] which rate a capacity search tries next, given how the trials so far went; [`Backlog`] tells whether work
//! piled up in a trial.
//!
//! How a suite is written, who makes the load and what an iteration does must stay unknown here.

mod backlog;
mod executor;
mod pacer;
mod rate;
mod search;
mod slice;

pub use backlog::Backlog;
pub use executor::{CapacitySearch, Executor, Schedule, Stage};
pub use pacer::{LoadLevel, Pacer, StageAt};
pub use rate::{Rate, RateError};
pub use search::{Search, SearchPlan, SearchState, Tally, TrialOutcome};
pub use slice::{Slice, SliceError};
