//! Values with their units, for people.

/// Seconds, in the unit that gives the shortest figure.
pub fn seconds(value: f64) -> String {
    match value.abs() {
        0.0 => "0 s".into(),
        v if v < 1e-3 => format!("{} µs", figure(value * 1e6)),
        v if v < 1.0 => format!("{} ms", figure(value * 1e3)),
        _ => format!("{} s", figure(value)),
    }
}

/// Bytes, with binary prefixes.
pub fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value.abs() < 1024.0 {
            return format!("{} {unit}", figure(value));
        }
        value /= 1024.0;
    }
    format!("{} TiB", figure(value))
}

/// A value in a unit, which is given by [its word](crate::Unit::word).
pub fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "seconds" => seconds(value),
        "bytes" => bytes(value),
        "ratio" => format!("{} %", figure(value * 100.0)),
        _ => figure(value),
    }
}

/// A change from one value to another: `+12 %`; none where the first is zero.
pub fn change(before: f64, now: f64) -> Option<String> {
    let share = (now - before) / before.abs();
    share.is_finite().then(|| format!("{}{} %", if share >= 0.0 { "+" } else { "" }, figure(share * 100.0)))
}

/// Three significant digits, but never fewer than the whole number has.
pub fn figure(value: f64) -> String {
    let text = match value.abs() {
        v if v >= 100.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(seconds(0.0), "0 s");
        assert_eq!(seconds(0.000_012_34), "12.3 µs");
        assert_eq!(seconds(0.5), "500 ms");
        assert_eq!(seconds(61.26), "61.3 s");
        assert_eq!(bytes(1536.0), "1.5 KiB");
        assert_eq!(bytes(5.0 * 1024_f64.powi(4)), "5 TiB");
        assert_eq!(with_unit(0.0123, "ratio"), "1.23 %");
        assert_eq!(with_unit(12345.0, "none"), "12345");
        assert_eq!(change(2.0, 2.5).unwrap(), "+25 %");
        assert_eq!(change(2.0, 1.0).unwrap(), "-50 %");
        assert_eq!(change(0.0, 1.0), None);
    }
}
