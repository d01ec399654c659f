//! Native collectors: those that are part of kperf, and shared libraries.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod builtin;
#[cfg(unix)]
mod foreign;
