//! Faults and delays on purpose.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::SimConfig;
use crate::operation::Operation;
use crate::random::RandomStream;

/// The fault of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing unusual.
    None,
    /// The request is refused before any work.
    Refuse,
    /// The connection is reset before any work.
    Reset,
    /// The connection is reset instead of the answer; the work is done.
    ResetAfterWork,
}

/// Decides on a fault for each request, in the order in which requests arrive.
#[derive(Debug)]
pub(crate) struct Faults {
    random: RandomStream,
    seen: AtomicU64,
    errors: f64,
    resets: f64,
}

impl Faults {
    /// The faults that the configuration asks for.
    pub(crate) fn new(config: &SimConfig) -> Self {
        Self {
            random: RandomStream::new(config.seed).fork_named("faults"),
            seen: AtomicU64::new(0),
            errors: config.error_rate,
            resets: config.reset_rate,
        }
    }

    /// The fault of the next request.
    pub(crate) fn next(&self) -> Fault {
        if self.errors <= 0.0 && self.resets <= 0.0 {
            return Fault::None;
        }
        let random = self.random.fork(self.seen.fetch_add(1, Ordering::Relaxed));
        if random.fork(0).unit() < self.errors {
            return Fault::Refuse;
        }
        match (random.fork(1).unit() < self.resets, random.fork(2).unit() < 0.5) {
            (false, _) => Fault::None,
            (true, false) => Fault::Reset,
            (true, true) => Fault::ResetAfterWork,
        }
    }
}

/// How long the answer of an operation is held back, with so many rows stored where it lists some.
pub(crate) fn delay(config: &SimConfig, operation: Operation, rows: Option<usize>) -> Duration {
    let own = config.latencies.get(&operation).copied().unwrap_or_default();
    let list = rows.map_or(Duration::ZERO, |rows| config.list_latency.mul_f64(rows as f64 / 1000.0));
    config.latency + own + list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_at_their_rates_and_repeat() {
        let config = SimConfig { error_rate: 0.1, reset_rate: 0.2, seed: 7, ..SimConfig::default() };
        let sequence = || {
            let faults = Faults::new(&config);
            (0..10_000).map(|_| faults.next()).collect::<Vec<_>>()
        };
        let seen = sequence();
        let count = |fault: Fault| seen.iter().filter(|f| **f == fault).count();
        // Within four standard deviations: 4 * sqrt(10,000 * p * (1 - p)).
        assert!(count(Fault::Refuse).abs_diff(1_000) < 120, "{}", count(Fault::Refuse));
        for reset in [Fault::Reset, Fault::ResetAfterWork] {
            assert!(count(reset).abs_diff(900) < 115, "{}", count(reset));
        }
        assert_eq!(seen, sequence());
        assert_eq!(Faults::new(&SimConfig::default()).next(), Fault::None);
    }

    #[test]
    fn delays_add_up() {
        let second = Duration::from_secs(1);
        let config = SimConfig {
            latency: second,
            latencies: [(Operation::GetRun, 2 * second)].into(),
            list_latency: 4 * second,
            ..SimConfig::default()
        };
        assert_eq!(delay(&config, Operation::GetRun, None), 3 * second);
        assert_eq!(delay(&config, Operation::ListRuns, Some(500)), 3 * second);
    }
}
