//! How far the server's clock is ahead of ours.
//!
//! The server writes whole seconds, so one answer tells little: an instant that the server calls `s` lies in `[s, s + 1)`
//! of its clock, and between sending and receiving of ours. Each answer bounds the offset from both sides, and since the
//! fractions of a second differ, the bounds of many answers together are narrow. Nothing else in this plugin compares
//! the two clocks.

use std::time::Duration;

/// A second that the server named, and when that was by our clock.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Seconds since the Unix epoch on the server's clock, rounded down.
    pub second: f64,
    /// When the request left, on our clock.
    pub sent: Duration,
    /// When the answer was here, on our clock.
    pub received: Duration,
}

/// What is known about the offset: it lies between two bounds, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClockOffset {
    bounds: Option<(f64, f64)>,
}

impl ClockOffset {
    /// Takes in an exchange. Bounds that contradict what was known mean that a clock was set: then only the new ones hold.
    pub fn observe(&mut self, exchange: &Exchange) {
        let low = exchange.second - exchange.received.as_secs_f64();
        let high = exchange.second + 1.0 - exchange.sent.as_secs_f64();
        let (known_low, known_high) = self.bounds.unwrap_or((low, high));
        let both = (low.max(known_low), high.min(known_high));
        self.bounds = Some(if both.0 <= both.1 { both } else { (low, high) });
    }

    /// The server's clock minus ours, in seconds: the middle of what is possible. None before the first exchange.
    pub fn seconds(&self) -> Option<f64> {
        self.bounds.map(|(low, high)| f64::midpoint(low, high))
    }

    /// How far the truth may lie from that, in seconds.
    pub fn uncertainty(&self) -> Option<f64> {
        self.bounds.map(|(low, high)| (high - low) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(ours: f64, offset: f64, took: f64) -> Exchange {
        Exchange {
            second: (ours + took / 2.0 + offset).floor(),
            sent: Duration::from_secs_f64(ours),
            received: Duration::from_secs_f64(ours + took),
        }
    }

    #[test]
    fn many_exchanges_tell_more_than_a_second() {
        let mut offset = ClockOffset::default();
        assert_eq!(offset.seconds(), None);
        offset.observe(&exchange(1000.0, 2.25, 0.01));
        assert!(offset.uncertainty().unwrap() > 0.4);
        for step in 1..50 {
            offset.observe(&exchange(1000.0 + f64::from(step) * 0.37, 2.25, 0.01));
            let error = (offset.seconds().unwrap() - 2.25).abs();
            assert!(error <= offset.uncertainty().unwrap() + 1e-9);
        }
        assert!(offset.uncertainty().unwrap() < 0.05);
    }

    #[test]
    fn a_clock_that_was_set_is_learned_anew() {
        let mut offset = ClockOffset::default();
        offset.observe(&exchange(1000.0, 0.0, 0.01));
        offset.observe(&exchange(1001.3, 30.0, 0.01));
        assert!((offset.seconds().unwrap() - 30.0).abs() <= offset.uncertainty().unwrap());
    }
}
