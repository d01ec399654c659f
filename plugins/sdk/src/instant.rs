//! Instants as servers and the host write them: RFC 3339 in UTC, in whole seconds or with a fraction.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};

use crate::records::Value;

const NANOS: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// An instant, in nanoseconds since the Unix epoch. As text it has milliseconds: `2026-11-22T10:15:04.250Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(i64);

impl Instant {
    /// The instant that is so many nanoseconds after the Unix epoch.
    #[must_use]
    pub fn from_unix_ns(nanoseconds: u64) -> Self {
        Self(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
    }

    /// The instant that is so long after the Unix epoch, as [`crate::clock::wall`] tells it.
    #[must_use]
    pub fn from_unix(since: Duration) -> Self {
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// The instant that is so many seconds after the Unix epoch.
    #[must_use]
    pub fn from_unix_seconds(seconds: f64) -> Self {
        Self((seconds * 1e9) as i64)
    }

    /// The instant of a text like `2026-11-22T10:15:04.25Z`; none if it is no such text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
        let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let digits = fraction.get(..fraction.len().min(9))?;
        let nanos = if digits.is_empty() { 0 } else { format!("{digits:0<9}").parse::<i64>().ok()? };
        let days = days_since_epoch(year, month, day)?;
        let seconds = days.checked_mul(DAY)?.checked_add(hour.checked_mul(3_600)?)?;
        let seconds = seconds.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
        seconds.checked_mul(NANOS)?.checked_add(nanos).map(Self)
    }

    /// Nanoseconds since the Unix epoch; 0 for an instant before it.
    #[must_use]
    pub fn unix_ns(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub fn unix_seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Seconds from an earlier instant to this one; a negative difference of two clocks counts as 0.
    #[must_use]
    pub fn since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0).max(0) as f64 / 1e9
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(NANOS);
        let (year, month, day) = date(seconds.div_euclid(DAY));
        let (clock, milliseconds) = (seconds.rem_euclid(DAY), self.0.rem_euclid(NANOS) / 1_000_000);
        let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no instant")))
    }
}

impl From<Instant> for Value {
    fn from(at: Instant) -> Self {
        Self::Instant(at.0)
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Counting years from March puts the leap day at the end of the
/// year; then a month's first day is `(153 * months since March + 2) / 5` days into it, and 400 years have 146,097 days.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// The year, month and day that are so many days after 1970-01-01: what [`days_since_epoch`] does, backwards.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    // The days that leap years have added so far are taken out before the years are counted.
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let since_march = (5 * day_of_year + 2) / 153;
    let month = if since_march < 10 { since_march + 3 } else { since_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * since_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<i64> {
        Instant::parse(text).map(|at| at.0)
    }

    #[test]
    fn reads_seconds_and_fractions() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("2000-03-01T00:00:00Z"), Some(951_868_800_000_000_000));
        assert_eq!(parse("2024-02-29T23:59:59Z"), Some(1_709_251_199_000_000_000));
        assert_eq!(parse("2026-11-22T10:15:04.250001Z"), Some(1_795_342_504_250_001_000));
    }

    #[test]
    fn what_is_none_is_none() {
        for wrong in [
            "",
            "soon",
            "2026-11-22",
            "2026-11-22T10:15Z",
            "2026-11-22T10:15:04+01:00",
            "2026-11-22T10:15:04.xZ",
            "2026-13-22T10:15:04Z",
            "2026-11-22T10:15:9223372036854775807Z",
            "9223372036854775807-11-22T10:15:04Z",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn is_written_with_milliseconds() {
        let text = |nanoseconds| Instant(nanoseconds).to_string();
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(text(1_700_000_000_123_999_999), "2023-11-14T22:13:20.123Z");
        assert_eq!(text(951_782_400_000_000_000), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn every_day_is_read_as_it_is_written() {
        // From 1800 to 2200.
        for day in -62_091..84_006 {
            let at = Instant(day * DAY * NANOS + 82_800_000_000_000);
            assert_eq!(Instant::parse(&at.to_string()), Some(at), "{at}");
        }
    }

    #[test]
    fn differences_are_never_negative() {
        assert!((Instant(2_500_000_000).since(Instant(500_000_000)) - 2.0).abs() < 1e-12);
        assert!(Instant(1).since(Instant(5)).abs() < 1e-12);
    }
}
