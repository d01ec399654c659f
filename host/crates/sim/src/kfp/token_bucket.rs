//! The token bucket that delays run creations the way client-go delays calls to Kubernetes.

use std::time::Duration;

/// Tokens refill at a rate up to a burst; a caller who finds none reserves a future token and waits for it, in order.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    /// Tokens per second; without a rate nobody waits.
    rate: Option<f64>,
    burst: f64,
    /// Below zero: reserved ahead.
    tokens: f64,
    /// When `tokens` was last brought up to date, in ns.
    at: u64,
}

impl TokenBucket {
    /// A full bucket. `rate` in tokens per second, above 0.
    pub(crate) fn new(rate: Option<f64>, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self { rate, burst, tokens: burst, at: 0 }
    }

    /// Reserves one token at `now` (ns), and returns how long to wait for it.
    pub(crate) fn reserve(&mut self, now: u64) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let passed = now.saturating_sub(self.at) as f64 / 1e9;
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * rate).min(self.burst) - 1.0;
        Duration::from_secs_f64((-self.tokens).max(0.0) / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn burst_passes_then_the_rate_rules() {
        let mut bucket = TokenBucket::new(Some(5.0), 10);
        let waits: Vec<u128> = (0..15).map(|_| bucket.reserve(SECOND).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200, 400, 600, 800, 1000]);
    }

    #[test]
    fn quiet_time_refills_no_further_than_the_burst() {
        let mut bucket = TokenBucket::new(Some(2.0), 2);
        assert_eq!(bucket.reserve(0), Duration::ZERO);
        let waits: Vec<u128> = (0..3).map(|_| bucket.reserve(100 * SECOND).as_millis()).collect();
        assert_eq!(waits, [0, 0, 500]);
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let mut bucket = TokenBucket::new(None, 1);
        assert!((0..100).all(|_| bucket.reserve(0).is_zero()));
    }
}
