//! Instants as servers write them: RFC 3339 in UTC, in whole seconds or with a fraction.

/// Nanoseconds since the Unix epoch of a text like `2026-11-22T10:15:04.25Z`; none if it is no such text.
pub fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let digits = fraction.get(..fraction.len().min(9))?;
    let nanos = if digits.is_empty() { 0 } else { format!("{digits:0<9}").parse::<i64>().ok()? };
    let days = days_since_epoch(year, month, day)?;
    let seconds = days.checked_mul(86_400)?.checked_add(hour.checked_mul(3_600)?)?;
    let seconds = seconds.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
