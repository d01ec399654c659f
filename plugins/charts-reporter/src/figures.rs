//! Figures with their units, and the steps of a scale.

/// What a figure measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Things per second.
    PerSecond,
    /// Things.
    Count,
    /// A share from 0 to 1.
    Share,
    /// Processor cores.
    Cores,
    /// Bytes.
    Bytes,
}

/// A unit as a scale has it: its name, and what values are divided by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// `ms`, for example.
    pub name: &'static str,
    /// How many of the figure's own unit one of these is.
    pub one: f64,
}

impl Unit {
    /// The scale that suits values up to `largest`.
    pub fn scale(self, largest: f64) -> Scale {
        let scale = |name, one| Scale { name, one };
        match self {
            Self::Seconds if largest < 0.001 => scale("µs", 1e-6),
            Self::Seconds if largest < 1.0 => scale("ms", 1e-3),
            Self::Seconds => scale("s", 1.0),
            Self::PerSecond => scale("per second", 1.0),
            Self::Count => scale("", 1.0),
            Self::Share => scale("%", 0.01),
            Self::Cores => scale("cores", 1.0),
            Self::Bytes if largest < 1_048_576.0 => scale("KiB", 1024.0),
            Self::Bytes if largest < 1_073_741_824.0 => scale("MiB", 1_048_576.0),
            Self::Bytes => scale("GiB", 1_073_741_824.0),
        }
    }
}

impl Scale {
    /// A value on this scale, three digits.
    pub fn show(self, value: f64) -> String {
        digits(value / self.one)
    }
}

/// Three significant digits at the most, thousands as `k`.
pub fn digits(value: f64) -> String {
    let text = match value.abs() {
        0.0 => return "0".to_owned(),
        v if v >= 999_500.0 => return format!("{}M", digits(value / 1e6)),
        v if v >= 9_999.5 => return format!("{}k", digits(value / 1e3)),
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        v if v >= 0.9995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The steps of a scale from 0 to `largest`: four to six round numbers, the last one not below it.
pub fn steps(largest: f64) -> Vec<f64> {
    if largest.is_nan() || largest <= 0.0 {
        return vec![0.0, 1.0];
    }
    let rough = largest / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|it| it * power).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let count = (largest / step - 1e-9).ceil().max(1.0) as u32;
    (0..=count).map(|number| f64::from(number) * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_scales_round() {
        for (value, text) in
            [(0.0, "0"), (0.0123, "0.012"), (1.5, "1.5"), (12.34, "12.3"), (1234.0, "1234"), (45_678.0, "45.7k")]
        {
            assert_eq!(digits(value), text);
        }
        assert_eq!(steps(7.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(steps(100.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(steps(0.0), [0.0, 1.0]);
        for largest in [1e-9, 0.3, 1.0, 17.0, 99.0, 12_345.6] {
            let steps = steps(largest);
            assert!((3..=7).contains(&steps.len()), "{largest}: {steps:?}");
            assert!(*steps.last().unwrap() >= largest * 0.999_999, "{largest}: {steps:?}");
        }
        assert_eq!((Unit::Seconds.scale(0.25).name, Unit::Bytes.scale(5e9).name), ("ms", "GiB"));
        assert_eq!(Unit::Share.scale(1.0).show(0.05), "5");
    }
}
