//! The whole program, from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod capacity;
#[cfg(unix)]
mod cells;
mod cli;
mod collectors;
mod convert;
mod credentials;
mod dependencies;
mod earlier;
mod kfp;
#[cfg(unix)]
mod ledger;
#[cfg(unix)]
mod mlflow;
mod names;
mod native;
mod output;
mod records;
mod reporters;
mod scenarios;
mod support;
