//! Live figures, the results of a run that ended, and those of one that was killed come from the same events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod events;
mod fold;
