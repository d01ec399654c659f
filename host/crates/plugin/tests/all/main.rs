//! Real guests against the real plugin host, over the loopback interface.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod capabilities;
mod faults;
mod ledger;
mod load;
mod observers;
mod server;
mod support;
