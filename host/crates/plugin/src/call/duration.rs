//! Durations, as the contract has them.

use std::time::Duration;

/// Nanoseconds of a duration, for guests.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
