//! Instants as Kubernetes writes them: RFC 3339 in UTC, in whole seconds or with a fraction.

use serde::{Deserialize, Deserializer};

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub i64);

impl Instant {
    /// Seconds from an earlier instant to this one; a negative difference of two clocks counts as 0.
    pub fn since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0).max(0) as f64 / 1e9
    }

    /// For samples.
    pub fn nanoseconds(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no instant")))
    }
}

fn parse(text: &str) -> Option<Instant> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let digits = fraction.get(..fraction.len().min(9))?;
    let nanos = if digits.is_empty() { 0 } else { format!("{digits:0<9}").parse::<i64>().ok()? };
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Instant(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Counting years from March puts the leap day at the end of the
/// year; then a month's first day is `(153 * months since March + 2) / 5` days into it, and 400 years have 146,097 days.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_fractions() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(Instant(0)));
        assert_eq!(parse("2024-02-29T23:59:59Z"), Some(Instant(1_709_251_199_000_000_000)));
        assert_eq!(parse("2026-11-22T10:15:04.250001Z"), Some(Instant(1_795_342_504_250_001_000)));
        for wrong in
            ["", "soon", "2026-11-22", "2026-11-22T10:15Z", "2026-11-22T10:15:04+01:00", "2026-11-22T10:15:04.xZ"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn differences_are_never_negative() {
        assert!((Instant(2_500_000_000).since(Instant(500_000_000)) - 2.0).abs() < 1e-12);
        assert!(Instant(1).since(Instant(5)).abs() < 1e-12);
    }
}
