//! Instants as the API shows them: RFC 3339 in UTC, whole seconds.

use std::fmt;
use std::time::UNIX_EPOCH;

use serde::{Serialize, Serializer};

/// Nanoseconds since the Unix epoch, the server's clock.
pub(crate) type Nanos = u64;

/// A whole second as the API writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timestamp {
    /// Seconds since 1970. Zero is how the server says "not yet" for runs and experiments.
    Epoch(u32),
    /// Go's zero time, how the server says "not yet" for tasks.
    Never,
}

impl Timestamp {
    /// The second that `at` lies in.
    pub(crate) fn of(at: Nanos) -> Self {
        Self::Epoch(seconds(at))
    }

    /// The second that `at` lies in, 1970 if there is none.
    pub(crate) fn or_epoch(at: Option<Nanos>) -> Self {
        Self::Epoch(at.map_or(0, seconds))
    }
}

/// Whole seconds since the epoch; the database of the real server keeps no more either.
pub(crate) fn seconds(at: Nanos) -> u32 {
    u32::try_from(at / 1_000_000_000).unwrap_or(u32::MAX)
}

/// A written timestamp: always as many bytes.
type Text = [u8; 20];

/// Lists hold thousands of timestamps, so they are written digit by digit and not by way of a formatter.
fn write(second: u32) -> Text {
    let (days, rest) = (second / 86_400, second % 86_400);
    // Days to a date by way of years that begin in March, so that the leap day is the last (Howard Hinnant's
    // `civil_from_days`); the epoch is day 719,468 of it.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    let mut text: Text = *b"0000-00-00T00:00:00Z";
    let places = [(year, 4), (month, 2), (date, 2), (rest / 3_600, 2), (rest / 60 % 60, 2), (rest % 60, 2)];
    let mut at = 0;
    for (mut value, width) in places {
        for digit in text.iter_mut().skip(at).take(width).rev() {
            *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
            value /= 10;
        }
        at += width + 1;
    }
    text
}

impl Timestamp {
    fn with_text<R>(self, then: impl FnOnce(&str) -> R) -> R {
        match self {
            Self::Epoch(second) => then(std::str::from_utf8(&write(second)).unwrap_or_default()),
            Self::Never => then("0001-01-01T00:00:00Z"),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

/// Seconds since the epoch of an RFC 3339 text.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let at = humantime::parse_rfc3339(text).ok()?;
    i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_whole_seconds_and_both_ways_of_not_yet() {
        assert_eq!(Timestamp::of(1_795_342_504_900_000_000).to_string(), "2026-11-22T10:15:04Z");
        assert_eq!(Timestamp::or_epoch(None).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::Never.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(parse("2026-11-22T10:15:04Z"), Some(1_795_342_504));
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn every_kind_of_day_is_written_as_a_known_library_does() {
        for second in (0..u32::MAX).step_by(7_777_777).chain([951_782_399, 951_782_400, 4_107_542_400, u32::MAX]) {
            let at = UNIX_EPOCH + std::time::Duration::from_secs(u64::from(second));
            assert_eq!(Timestamp::Epoch(second).to_string(), humantime::format_rfc3339_seconds(at).to_string());
        }
    }
}
