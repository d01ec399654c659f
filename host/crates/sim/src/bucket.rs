//! The token bucket that delays run creations the way client-go delays calls to Kubernetes.

use std::time::Duration;

/// Tokens refill at a rate up to a burst; who finds none books a future token and waits for it, in order.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Tokens per second; 0 = unlimited.
    rate: f64,
    burst: f64,
    /// Below zero: booked ahead.
    tokens: f64,
    /// When `tokens` was last brought up to date, in ns.
    at: u64,
}

impl Bucket {
    /// A full bucket. `rate` in tokens per second, 0 = unlimited.
    pub(crate) fn new(rate: f64, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self { rate, burst, tokens: burst, at: 0 }
    }

    /// Books one token at `now` (ns) and says how long to wait for it.
    pub(crate) fn book(&mut self, now: u64) -> Duration {
        if self.rate <= 0.0 {
            return Duration::ZERO;
        }
        let passed = now.saturating_sub(self.at) as f64 / 1e9;
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * self.rate).min(self.burst) - 1.0;
        Duration::from_secs_f64((-self.tokens).max(0.0) / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn burst_passes_then_the_rate_rules() {
        let mut bucket = Bucket::new(5.0, 10);
        let waits: Vec<u128> = (0..15).map(|_| bucket.book(SECOND).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200, 400, 600, 800, 1000]);
    }

    #[test]
    fn quiet_time_refills_no_further_than_the_burst() {
        let mut bucket = Bucket::new(2.0, 2);
        assert_eq!(bucket.book(0), Duration::ZERO);
        let waits: Vec<u128> = (0..3).map(|_| bucket.book(100 * SECOND).as_millis()).collect();
        assert_eq!(waits, [0, 0, 500]);
    }

    #[test]
    fn rate_zero_never_waits() {
        let mut bucket = Bucket::new(0.0, 1);
        assert!((0..100).all(|_| bucket.book(0).is_zero()));
    }
}
