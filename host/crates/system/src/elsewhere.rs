//! Systems without `/proc`.

use std::time::Duration;

use crate::Unavailable;
use crate::machine::{Machine, Myself, Traffic};
use crate::snapshot::Snapshot;

fn unavailable<T>() -> Result<T, Unavailable> {
    Err(Unavailable(format!("{} is not supported, only Linux is", std::env::consts::OS)))
}

/// The machine now.
///
/// # Errors
/// Always.
pub fn machine() -> Result<Machine, Unavailable> {
    unavailable()
}

/// This process now.
///
/// # Errors
/// Always.
pub fn myself() -> Result<Myself, Unavailable> {
    unavailable()
}

/// None: not known.
#[must_use]
pub fn waited() -> Option<Duration> {
    None
}

pub(crate) fn snapshot() -> Result<Snapshot, Unavailable> {
    unavailable()
}

pub(crate) fn arguments_of(_: u32) -> Vec<String> {
    Vec::new()
}

pub(crate) fn disk_of(_: u32) -> Option<Traffic> {
    None
}

pub(crate) fn network_of(_: u32) -> Option<(u64, Traffic)> {
    None
}
