//! The sinks that a suite asks for: reporters and exporters.

mod announcer;
pub(crate) mod export;
pub(crate) mod reporter;
