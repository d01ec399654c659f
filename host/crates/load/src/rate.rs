//! How often arrivals come: an exact ratio, so that the millionth is due as exactly as the first.

use std::time::Duration;

/// A count per period, kept as written: `100/s` and `6000/min` are equal in effect and neither is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u64,
    per: Duration,
}

/// Why a rate cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The period has no length.
    #[error("a rate's period is zero: give the time in which the count arrives, such as 1s")]
    ZeroPeriod,
}

impl Rate {
    /// No arrivals: where a ramp starts or ends.
    pub const ZERO: Self = Self { count: 0, per: Duration::from_secs(1) };

    /// `count` arrivals in every `per`. A count of zero means no arrivals.
    ///
    /// # Errors
    /// [`RateError::ZeroPeriod`] when `per` is zero.
    pub fn new(count: u64, per: Duration) -> Result<Self, RateError> {
        if per.is_zero() { Err(RateError::ZeroPeriod) } else { Ok(Self { count, per }) }
    }

    /// `count` arrivals a second.
    #[must_use]
    pub const fn per_second(count: u64) -> Self {
        Self { count, per: Duration::from_secs(1) }
    }

    /// `arrivals` a second, to a millionth of an arrival per hour: every rate that people name per second, minute or hour is
    /// exact. What is no rate (negative, not a number) is none.
    #[must_use]
    pub fn from_per_second(arrivals: f64) -> Self {
        const HOURS: u64 = 1_000_000;
        // The cast saturates, and takes what is no number for zero.
        Self { count: (arrivals * 3600.0 * HOURS as f64).round() as u64, per: Duration::from_secs(3600 * HOURS) }
    }

    /// Arrivals a second, rounded to a double: for ramps and for display.
    #[must_use]
    pub fn as_per_second(self) -> f64 {
        self.count as f64 / self.per.as_secs_f64()
    }

    /// When arrival `k` (the first is 0) is due: `k * per / count`, rounded down to a nanosecond. `None` at rate zero.
    pub(crate) fn due(self, k: u64) -> Option<Duration> {
        (u128::from(k) * self.per.as_nanos()).checked_div(u128::from(self.count)).map(nanoseconds)
    }

    /// How many arrivals are due before `duration` ends: the least `n` with `n * per >= duration * count`.
    pub(crate) fn arrivals_in(self, duration: Duration) -> u64 {
        let whole = duration.as_nanos().saturating_mul(u128::from(self.count)).div_ceil(self.per.as_nanos());
        u64::try_from(whole).unwrap_or(u64::MAX)
    }
}

/// A duration of `nanos`, at the most what a `u64` of nanoseconds holds (584 years).
pub(crate) fn nanoseconds(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_instants_do_not_drift() {
        let third = Rate::new(3, Duration::from_secs(1)).unwrap();
        assert_eq!(third.due(0), Some(Duration::ZERO));
        assert_eq!(third.due(1), Some(Duration::from_nanos(333_333_333)));
        assert_eq!(third.due(3_000_000_000), Some(Duration::from_secs(1_000_000_000)));
        assert_eq!(Rate::ZERO.due(0), None);
    }

    #[test]
    fn arrivals_end_before_the_duration_does() {
        assert_eq!(Rate::per_second(1000).arrivals_in(Duration::from_secs(10)), 10_000);
        assert_eq!(Rate::per_second(3).arrivals_in(Duration::from_nanos(333_333_333)), 1);
        assert_eq!(Rate::per_second(3).arrivals_in(Duration::from_nanos(333_333_334)), 2);
        assert_eq!(Rate::new(1, Duration::from_secs(60)).unwrap().arrivals_in(Duration::from_secs(90)), 2);
        assert_eq!(Rate::ZERO.arrivals_in(Duration::from_secs(10)), 0);
    }

    #[test]
    fn rates_per_second_minute_and_hour_are_exact() {
        assert_eq!(Rate::from_per_second(3.0).due(3_000_000_000), Some(Duration::from_secs(1_000_000_000)));
        assert_eq!(Rate::from_per_second(7.0 / 3600.0).due(7_000), Some(Duration::from_secs(3_600_000)));
        assert_eq!(Rate::from_per_second(90.0 / 60.0).arrivals_in(Duration::from_secs(60)), 90);
        for none in [0.0, -1.0, f64::NAN] {
            assert_eq!(Rate::from_per_second(none).arrivals_in(Duration::from_secs(60)), 0);
        }
    }

    #[test]
    fn a_period_has_a_length() {
        assert_eq!(Rate::new(5, Duration::ZERO), Err(RateError::ZeroPeriod));
    }
}
