//! Instants as the server writes them: RFC 3339 in UTC, `2026-11-22T10:15:04Z`.

use serde::{Deserialize, Deserializer};

/// Seconds since the Unix epoch; none where the server writes one of its two ways of saying "not yet" (the years 1970
/// and 0001), or something that is no instant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timestamp(pub Option<f64>);

impl Timestamp {
    /// Seconds from an earlier instant to this one, if both are known; a negative difference of two clocks counts as 0.
    pub fn since(self, earlier: Self) -> Option<f64> {
        Some((self.0? - earlier.0?).max(0.0))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(parse(&text).filter(|&seconds| seconds > 0.0)))
    }
}

fn parse(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<i64>().ok()?, time.next()?.parse::<i64>().ok()?);
    let second = time.next()?.parse::<f64>().ok()?;
    let whole = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60;
    Some(whole as f64 + second)
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
    fn reads_instants() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(parse("2000-03-01T00:00:00Z"), Some(951_868_800.0));
        assert_eq!(parse("2024-02-29T23:59:59Z"), Some(1_709_251_199.0));
        assert_eq!(parse("2026-11-22T10:15:04.5Z"), Some(1_795_342_504.5));
    }

    #[test]
    fn what_has_not_happened_has_no_instant() {
        for text in ["\"1970-01-01T00:00:00Z\"", "\"0001-01-01T00:00:00Z\"", "\"\"", "\"soon\""] {
            assert_eq!(serde_json::from_str::<Timestamp>(text).unwrap(), Timestamp(None), "{text}");
        }
    }

    #[test]
    fn differences_are_never_negative() {
        let at = |seconds| Timestamp(Some(seconds));
        assert_eq!(at(5.0).since(at(3.0)), Some(2.0));
        assert_eq!(at(3.0).since(at(5.0)), Some(0.0));
        assert_eq!(at(3.0).since(Timestamp(None)), None);
    }
}
