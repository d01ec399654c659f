//! The simulated server's settings, from the suite's words to the simulator's.

use kperf_sim::SimConfig;
use kperf_suite::Simulated;

/// The simulator's configuration for a suite's `[simulated]`.
#[must_use]
pub fn config(wanted: &Simulated) -> SimConfig {
    SimConfig {
        seed: wanted.seed,
        slots: wanted.slots as usize,
        create_rate: wanted.create_rate.map_or(0.0, kperf_suite::Rate::per_second),
        create_burst: wanted.create_burst,
        pickup: wanted.pickup,
        schedule: wanted.schedule,
        image_pull: wanted.image_pull,
        pod_start: wanted.pod_start,
        driver: wanted.driver,
        report_lag: wanted.report_lag,
        speed: wanted.speed,
        latency: wanted.latency,
        failure_rate: wanted.failure_rate.ratio(),
        jitter: wanted.jitter.ratio(),
    }
}
