//! Kubernetes quantities: `500m`, `2`, `4Gi`.

/// The value of a quantity in its plain unit (cores, bytes); none if the text is no quantity.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor).filter(|value| value.is_finite() && *value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_what_kubernetes_reads() {
        assert_eq!(parse("500m"), Some(0.5));
        assert_eq!(parse("2"), Some(2.0));
        assert_eq!(parse("1.5Gi"), Some(1_610_612_736.0));
        for wrong in ["", "0", "-1", "2 GB", "GiB", "1e3", "1.2.3"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
