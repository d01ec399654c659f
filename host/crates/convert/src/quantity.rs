//! Amounts of CPU and memory as Kubernetes writes them: `2`, `500m`, `4Gi`.

const UNITS: [&str; 16] = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Whether a text is an amount above zero: a decimal number with a unit, or with an exponent of ten.
pub(crate) fn is_quantity(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let exponent = unit.strip_prefix(['e', 'E']).map(|exponent| exponent.strip_prefix(['-', '+']).unwrap_or(exponent));
    let known = UNITS.contains(&unit)
        || exponent.is_some_and(|digits| (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
    known && number.starts_with(|c: char| c.is_ascii_digit()) && number.parse::<f64>().is_ok_and(|value| value > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_what_is_none() {
        for amount in ["2", "500m", "0.5", "4Gi", "1.5G", "128974848", "1e3", "129E6", "1E"] {
            assert!(is_quantity(amount), "{amount}");
        }
        for none in ["", "0", "-1", "4 Gi", "4GB", "4gi", "4K", ".", "1..2", "Gi", "1e", "two", "NaN", "inf"] {
            assert!(!is_quantity(none), "{none}");
        }
    }
}
