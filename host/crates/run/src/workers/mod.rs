//! The threads that make load.
//!
//! In come a scenario's schedule, a slice of it and a plugin; out come samples and rows once a second, and a word when all
//! iterations have ended. Workers know neither each other nor the run.

mod recorder;
mod worker;

pub(crate) use worker::{Assignment, Message, send_records, start};
