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

/// Waits. Ends early when the run is stopped.
pub async fn sleep(duration: Duration) {
    clock::sleep(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)).await;
}
