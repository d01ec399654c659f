//! Collectors of the program against servers: the simulated cluster's Kubernetes API, and a real Prometheus.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod kubernetes;
mod planning;
mod prometheus;
mod rows;
#[path = "../support/mod.rs"]
mod support;
