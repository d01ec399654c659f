//! Time, from the host's clock.

use std::time::Duration;

use crate::bindings::kperf::plugin::clock;

/// Monotonic time since the run started.
pub fn now() -> Duration {
    Duration::from_nanos(clock::now())
}

/// Time since the Unix epoch on the host's clock: for comparing with what servers report, never for measuring.
pub fn wall() -> Duration {
    Duration::from_nanos(clock::wall())
}

/// Whether the run is ending before its time, so that nothing new should be begun: ask between the steps of an iteration that takes
/// long, and return early.
pub fn stopping() -> bool {
    clock::stopping()
}

/// Waits. Returns whether all of the time went by: not so when the run is being stopped.
pub async fn sleep(duration: Duration) -> bool {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let end = clock::now().saturating_add(nanoseconds);
    clock::sleep(nanoseconds).await;
    // Timers may be coarse, but by less than this.
    clock::now().saturating_add(1_000_000) >= end
}
