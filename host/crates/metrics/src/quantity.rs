//! Figures as people read them: three significant digits and a unit. Whatever kperf shows or writes for people is formatted
//! here; files for programs have plain numbers.

use crate::Unit;

/// A time in seconds, in the unit that fits: `1.23 ms`.
#[must_use]
pub fn seconds(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        "0".to_owned()
    } else if magnitude < 1e-3 {
        format!("{} µs", digits(value * 1e6))
    } else if magnitude < 1.0 {
        format!("{} ms", digits(value * 1e3))
    } else if magnitude < 120.0 {
        format!("{} s", digits(value))
    } else {
        format!("{} min", digits(value / 60.0))
    }
}

/// A number of things: `1234`, `12.3k`, `4.56M`.
#[must_use]
pub fn count(value: f64) -> String {
    if value.abs() < 10_000.0 {
        if value.fract() == 0.0 { format!("{value:.0}") } else { digits(value) }
    } else if value.abs() < 1e6 {
        format!("{}k", digits(value / 1e3))
    } else if value.abs() < 1e9 {
        format!("{}M", digits(value / 1e6))
    } else {
        format!("{}G", digits(value / 1e9))
    }
}

/// So many a second, or a minute where that is less than one: `12.3/s`, `7/m`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    if per_second >= 1.0 || per_second == 0.0 {
        format!("{}/s", count(per_second))
    } else {
        format!("{}/m", count(per_second * 60.0))
    }
}

/// A value in a metric's unit: `12.3 ms`, `1.50 MiB`, `0.25 %`, `42`.
#[must_use]
pub fn quantity(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => seconds(value),
        Unit::Bytes => bytes(value),
        Unit::Ratio => percent(value),
        Unit::None => count(value),
    }
}

/// A share between 0 and 1 as `0.25 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{} %", digits(share * 100.0))
}

fn bytes(value: f64) -> String {
    const STEPS: [(f64, &str); 4] = [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")];
    let (size, name) = STEPS.into_iter().find(|(size, _)| value.abs() >= *size).unwrap_or((1.0, "B"));
    format!("{} {name}", digits(value / size))
}

/// Three significant digits, no exponent.
fn digits(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 99.95 || value == 0.0 {
        format!("{value:.0}")
    } else if magnitude >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_the_unit_that_fits() {
        for (value, text) in [
            (0.0, "0"),
            (0.000_012_34, "12.3 µs"),
            (0.001_234, "1.23 ms"),
            (0.099_96, "100 ms"),
            (1.5, "1.50 s"),
            (119.0, "119 s"),
            (600.0, "10.0 min"),
        ] {
            assert_eq!(seconds(value), text, "{value}");
        }
        for (value, text) in [(0.0, "0"), (7.0, "7"), (1234.0, "1234"), (12_345.0, "12.3k"), (4_560_000.0, "4.56M")] {
            assert_eq!(count(value), text, "{value}");
        }
        for (value, text) in [(0.0, "0/s"), (28.74, "28.7/s"), (0.5, "30/m"), (0.002, "0.12/m")] {
            assert_eq!(rate(value), text, "{value}");
        }
        assert_eq!(quantity(1536.0, Unit::Bytes), "1.50 KiB");
        assert_eq!(quantity(0.015, Unit::Ratio), "1.50 %");
    }
}
