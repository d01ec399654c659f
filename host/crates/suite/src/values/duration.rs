//! Durations as a suite writes them: `500ms`, `90s`, `1m30s`, `2h`.

use std::{fmt, time::Duration};

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number without a unit.
    #[error("`{0}` has no unit")]
    NoUnit(String),
    /// A unit that does not exist.
    #[error("`{0}` is no unit of time: use ns, us, ms, s, m, h or d")]
    Unit(String),
    /// Something else than numbers with units.
    #[error("`{0}` is no duration: write it like 500ms, 90s, 1m30s or 2h")]
    Shape(String),
    /// More than about 100 years.
    #[error("`{0}` is too long")]
    TooLong(String),
}

const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// So that nanoseconds fit in an `i64` and sums of a few durations in a `u64`.
const LONGEST: u64 = 36_500 * 86_400_000_000_000;

/// Reads a duration: numbers, each with its unit, added up. `0` needs no unit.
///
/// # Errors
/// When the text is empty, lacks a unit, has an unknown one or is longer than about 100 years.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let shape = || DurationError::Shape(text.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() {
            return Err(shape());
        }
        if unit.is_empty() {
            return Err(DurationError::NoUnit(text.to_owned()));
        }
        let unit = unit.replace('µ', "u");
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let factor = factor.ok_or_else(|| DurationError::Unit(unit.clone()))?;
        let nanoseconds = nanoseconds(number, factor).ok_or_else(shape)?;
        total = total.saturating_add(nanoseconds);
        rest = tail;
    }
    match total {
        _ if text.is_empty() => Err(shape()),
        total if total > LONGEST => Err(DurationError::TooLong(text.to_owned())),
        total => Ok(Duration::from_nanos(total)),
    }
}

/// `number` times `factor`, exact to the nanosecond; saturates.
fn nanoseconds(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(factor);
    // Digits beyond the fourteenth are below a nanosecond in every unit.
    let digits = fraction.get(..fraction.len().min(14))?;
    let scale = 10u128.pow(u32::try_from(digits.len()).ok()?);
    let fraction = u128::from(digits.parse::<u64>().ok()?) * u128::from(factor) / scale;
    Some(whole.saturating_add(u64::try_from(fraction).ok()?))
}

/// Shows a duration the way a suite writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationText(pub Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, factor) in UNITS.iter().rev() {
            let count = rest / u128::from(*factor);
            if count > 0 {
                write!(f, "{count}{name}")?;
                rest %= u128::from(*factor);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, nanoseconds, shown) in [
            ("90s", 90_000_000_000, "1m30s"),
            ("1m30s", 90_000_000_000, "1m30s"),
            ("500ms", 500_000_000, "500ms"),
            ("2h", 7_200_000_000_000, "2h"),
            ("1.5s", 1_500_000_000, "1s500ms"),
            ("0.000001ms", 1, "1ns"),
            ("0s", 0, "0s"),
            ("0", 0, "0s"),
            ("3µs", 3_000, "3us"),
            ("36500d", LONGEST, "36500d"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration.as_nanos(), u128::from(nanoseconds), "{text}");
            assert_eq!(DurationText(duration).to_string(), shown);
            assert_eq!(parse_duration(shown).unwrap(), duration);
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        assert_eq!(parse_duration("90"), Err(DurationError::NoUnit("90".into())));
        assert_eq!(parse_duration("5min"), Err(DurationError::Unit("min".into())));
        assert_eq!(parse_duration("36501d"), Err(DurationError::TooLong("36501d".into())));
        assert_eq!(parse_duration("99999999999999999999h").ok(), None);
        for text in ["", "s", "-5s", "1..5s", ".s", "1.s", "5 s", "é"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
