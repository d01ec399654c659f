//! The server as its clients see it: HTTP over loopback.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the tests' own functions fail as the tests themselves do"
)]

mod api;
mod client;
mod faults;
mod kubernetes;
mod lists;
mod python;
mod recurring;
mod truth;
mod uploads;
mod users;
