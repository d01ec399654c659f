//! Lines for the person who runs the suite. The host counts and drops a flood.

use crate::bindings::kperf::plugin::log::{Level, log};

/// A line for the plugin's author.
pub fn debug(message: &str) {
    log(Level::Debug, message);
}

/// A line that is worth knowing: how far something has come.
pub fn info(message: &str) {
    log(Level::Info, message);
}

/// A line about something odd; the work goes on.
pub fn warn(message: &str) {
    log(Level::Warn, message);
}

/// A line about something that did not work.
pub fn error(message: &str) {
    log(Level::Error, message);
}
