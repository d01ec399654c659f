//! Lines for the person who runs the suite. The host counts and drops a flood.

use crate::bindings::kperf::plugin::log::{Level, log};

/// For the plugin's author.
pub fn debug(message: &str) {
    log(Level::Debug, message);
}

/// Worth knowing.
pub fn info(message: &str) {
    log(Level::Info, message);
}

/// Something is odd, the work goes on.
pub fn warn(message: &str) {
    log(Level::Warn, message);
}

/// Something did not work.
pub fn error(message: &str) {
    log(Level::Error, message);
}
