//! Durations in parameters, written as in a suite: `500ms`, `90s`, `1m30s`, `2h`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

use crate::Failure;

/// Reads a duration.
///
/// # Errors
/// A failure of the kind `params` that says what is expected: when the text is empty, a part has no unit, a unit is unknown, or
/// the sum is too large.
pub fn parse(text: &str) -> Result<Duration, Failure> {
    let help = "write for example \"500ms\", \"90s\" or \"1m30s\"";
    let wrong = || Failure::params(format!("`{text}` is not a duration, {help}"));
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

/// For `#[serde(deserialize_with = "kperf_plugin_sdk::duration::deserialize")]`.
///
/// # Errors
/// When the value is not a string that [`parse`] takes.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(|failure| D::Error::custom(failure.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_suite_reads() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn refuses_everything_else() {
        for text in ["", " ", "5", "s", "5 s", "5x", "-1s", "1.2.3s", "99999999999999999999h", "1s2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
