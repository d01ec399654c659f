//! Rates as a suite writes them, `200/s`, `12000/m` or `5/h`, and when the events of a constant rate are due.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// So many events in a second, a minute or an hour, kept as written.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Rate {
    /// From zero to [`HIGHEST`].
    count: f64,
    unit: RateUnit,
}

/// Beyond one event per nanosecond a clock has no more instants to give.
const HIGHEST: f64 = 1e9;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum RateUnit {
    #[default]
    Second,
    Minute,
    Hour,
}

impl RateUnit {
    const ALL: [(&'static str, Self); 3] = [("s", Self::Second), ("m", Self::Minute), ("h", Self::Hour)];

    fn seconds(self) -> f64 {
        match self {
            Self::Second => 1.0,
            Self::Minute => 60.0,
            Self::Hour => 3600.0,
        }
    }
}

impl Rate {
    /// No events: where a ramp starts or ends.
    pub const ZERO: Self = Self::per_second(0.0);

    /// `count` events a second, at the most a billion. What is no rate (negative, not a number) is none.
    #[must_use]
    pub const fn per_second(count: f64) -> Self {
        Self { count: if count > 0.0 { count.min(HIGHEST) } else { 0.0 }, unit: RateUnit::Second }
    }

    /// Events a second.
    #[must_use]
    pub fn as_per_second(self) -> f64 {
        self.count / self.unit.seconds()
    }

    /// The time from one event to the next; None for no events at all.
    #[must_use]
    pub fn interval(self) -> Option<Duration> {
        (self.count > 0.0).then(|| Duration::try_from_secs_f64(1.0 / self.as_per_second()).unwrap_or(Duration::MAX))
    }

    /// Whether there are no events at all.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.count <= 0.0
    }

    /// The rate as a ratio of whole numbers, to a millionth of an event per hour: exact for every rate that people name per
    /// second, minute or hour.
    pub(crate) fn spacing(self) -> Spacing {
        const HOURS: u64 = 1_000_000;
        let count = (self.as_per_second() * 3600.0 * HOURS as f64).round() as u64;
        Spacing { count, per: Duration::from_secs(3600 * HOURS) }
    }
}

/// Why a text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate: write it like 200/s, 12000/m or 5/h")]
pub struct RateError(String);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = || RateError(text.to_owned());
        let (count, unit) = text.split_once('/').ok_or_else(error)?;
        let unit = RateUnit::ALL.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(error)?.1;
        let count = count.trim();
        if !count.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(error());
        }
        let count: f64 = count.parse().map_err(|_| error())?;
        if !(0.0..=HIGHEST).contains(&count) {
            return Err(error());
        }
        Ok(Self { count, unit })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = RateUnit::ALL.iter().find(|(_, unit)| *unit == self.unit).map_or("s", |(name, _)| name);
        write!(f, "{}/{unit}", self.count)
    }
}

/// A constant rate as `count` events in every `per`, so that the millionth event is due as exactly as the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spacing {
    count: u64,
    per: Duration,
}

impl Spacing {
    /// When event `k` (the first is 0) is due: `k * per / count`, rounded down to a nanosecond. `None` at rate zero.
    pub(crate) fn due(self, k: u64) -> Option<Duration> {
        (u128::from(k) * self.per.as_nanos()).checked_div(u128::from(self.count)).map(nanoseconds)
    }

    /// How many events are due before `duration` ends: the least `n` with `n * per >= duration * count`.
    pub(crate) fn events_in(self, duration: Duration) -> u64 {
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
    fn reads_and_shows() {
        for (text, per_second) in [("200/s", 200.0), ("12000/m", 200.0), ("36/h", 0.01), ("0.5/s", 0.5), ("0/s", 0.0)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.as_per_second(), per_second, "{text}");
            assert_eq!(rate.to_string(), text);
        }
        assert_eq!("30/m".parse::<Rate>().unwrap().interval(), Some(Duration::from_secs(2)));
        assert_eq!("0/s".parse::<Rate>().unwrap().interval(), None);
    }

    #[test]
    fn refuses() {
        for text in ["", "200", "200/d", "/s", "-1/s", "nan/s", "inf/s", "1e300/s", "2000000000/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_computed_rate_is_one_that_could_be_written() {
        for none in [0.0, -1.0, f64::NAN] {
            assert_eq!(Rate::per_second(none), Rate::ZERO);
            assert_eq!(Rate::per_second(none).spacing().events_in(Duration::from_secs(60)), 0);
        }
        assert_eq!(Rate::per_second(f64::INFINITY).as_per_second(), HIGHEST);
        assert_eq!(Rate::per_second(HIGHEST).spacing().due(5), Some(Duration::from_nanos(5)));
    }

    #[test]
    fn due_instants_do_not_drift() {
        let third = Rate::per_second(3.0).spacing();
        assert_eq!(third.due(0), Some(Duration::ZERO));
        assert_eq!(third.due(1), Some(Duration::from_nanos(333_333_333)));
        assert_eq!(third.due(3_000_000_000), Some(Duration::from_secs(1_000_000_000)));
        assert_eq!(Rate::ZERO.spacing().due(0), None);
    }

    #[test]
    fn the_events_end_before_the_duration_does() {
        let events = |text: &str, duration| text.parse::<Rate>().unwrap().spacing().events_in(duration);
        assert_eq!(events("1000/s", Duration::from_secs(10)), 10_000);
        assert_eq!(events("3/s", Duration::from_nanos(333_333_333)), 1);
        assert_eq!(events("3/s", Duration::from_nanos(333_333_334)), 2);
        assert_eq!(events("1/m", Duration::from_secs(90)), 2);
        assert_eq!(events("0/s", Duration::from_secs(10)), 0);
    }

    #[test]
    fn rates_per_minute_and_hour_are_exact() {
        let spacing = |text: &str| text.parse::<Rate>().unwrap().spacing();
        assert_eq!(spacing("7/h").due(7_000), Some(Duration::from_secs(3_600_000)));
        assert_eq!(spacing("90/m").events_in(Duration::from_secs(60)), 90);
        assert_eq!(Rate::per_second(7.0 / 3600.0).spacing(), spacing("7/h"));
    }
}
