//! What a plugin may use, and the counters that hold it to that.

use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

/// What one plugin may use. Memory, stack and processor time are per instance; samples and log lines per worker thread.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of linear memory of one instance, all its memories together.
    pub memory: usize,
    /// The longest stretch that guest code may run without giving the processor back.
    pub cpu: Duration,
    /// How long `describe`, `preflight`, `open`, `teardown` and each call of a collector or reporter may take, how long a `setup`
    /// may go without a word to the log or the ledger, and how long a `cleanup` without removing anything.
    pub call: Duration,
    /// How long one iteration may take. None is without end.
    pub iteration: Option<Duration>,
    /// Samples and checks of the plugin's own, per second.
    pub samples: u32,
    /// Log lines per second.
    pub log_lines: u32,
    /// Bytes of the state that `setup` returns.
    pub state: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            cpu: Duration::from_secs(1),
            call: Duration::from_secs(300),
            iteration: None,
            samples: 100_000,
            log_lines: 100,
            state: 1 << 20,
        }
    }
}

/// Table elements of one instance: an interpreter's largest table that was seen has 7,688.
const TABLE_ELEMENTS: usize = 100_000;

/// Refuses memory beyond the limit and remembers that it did: what the guest does next is usually a trap that names
/// nothing.
#[derive(Debug)]
pub(crate) struct Limiter {
    allowed: usize,
    used: usize,
    refused: bool,
}

impl Limiter {
    pub(crate) fn new(allowed: usize) -> Self {
        Self { allowed, used: 0, refused: false }
    }

    /// Whether the guest was refused memory since it was made.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let allowed = self.used.saturating_add(more) <= self.allowed;
        if allowed && maximum.is_none_or(|maximum| desired <= maximum) {
            self.used += more;
        } else {
            self.refused |= !allowed;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.refused |= desired > TABLE_ELEMENTS;
        Ok(desired <= TABLE_ELEMENTS)
    }
}

/// A budget per second.
#[derive(Debug)]
pub(crate) struct Meter {
    per_second: u64,
    used: u64,
    since: Option<Instant>,
}

impl Meter {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.into(), used: 0, since: None }
    }

    /// Takes `wanted` from this second's budget and returns how many were granted.
    pub(crate) fn take(&mut self, wanted: u64, now: Instant) -> u64 {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            self.since = Some(now);
            self.used = 0;
        }
        let granted = wanted.min(self.per_second - self.used);
        self.used += granted;
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_grants_its_budget_each_second() {
        let mut meter = Meter::new(10);
        let start = Instant::now();
        assert_eq!(meter.take(6, start), 6);
        assert_eq!(meter.take(6, start), 4);
        assert_eq!(meter.take(6, start), 0);
        assert_eq!(meter.take(6, start + Duration::from_secs(1)), 6);
    }

    #[test]
    fn all_memories_of_an_instance_share_the_limit() {
        let mut limiter = Limiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert!(!limiter.refused());
        assert!(!limiter.memory_growing(60, 61, None).unwrap());
        assert!(limiter.refused());
    }
}
