//! A size as it stands in a suite, and what was measured at it.

use serde::{Deserialize, Deserializer, de::Error};

/// A size: a number, or a text like `1MiB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// As it stands in the suite; also a metric's tag.
    pub text: String,
    pub value: u64,
}

impl From<u64> for Size {
    fn from(value: u64) -> Self {
        Self { text: value.to_string(), value }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(value) => Ok(value.into()),
            Written::Text(text) => {
                let value = parse(&text).ok_or_else(|| {
                    D::Error::custom(format!("`{text}` is no size: write 1000, \"64KB\" or \"1MiB\""))
                })?;
                Ok(Self { text, value })
            }
        }
    }
}

fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit {
        "" | "B" => 1,
        "KB" => 1000,
        "MB" => 1_000_000,
        "KiB" => 1024,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// What requests of one operation took, in seconds.
#[derive(Debug, Default)]
pub struct Summary {
    seconds: Vec<f64>,
    /// How many failed.
    pub failed: u64,
    /// The last body that carried the data.
    pub bytes: usize,
}

impl Summary {
    /// Takes in a request; without a time it has failed.
    pub fn note(&mut self, seconds: Option<f64>, bytes: usize) {
        match seconds {
            None => self.failed += 1,
            Some(seconds) => {
                let place = self.seconds.partition_point(|other| *other < seconds);
                self.seconds.insert(place, seconds);
            }
        }
        if bytes > 0 {
            self.bytes = bytes;
        }
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.seconds.len() + usize::try_from(self.failed).unwrap_or(usize::MAX)
    }

    /// The smallest time that at least this share of the successful requests did not exceed.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (share * self.seconds.len() as f64).ceil().max(1.0) as usize;
        self.seconds.get(rank - 1).copied()
    }

    /// The mean of the successful ones.
    pub fn mean(&self) -> Option<f64> {
        (!self.seconds.is_empty()).then(|| self.seconds.iter().sum::<f64>() / self.seconds.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_or_texts() {
        let sizes: Vec<Size> = serde_json::from_str(r#"[10, "64KB", "1MiB"]"#).unwrap();
        let seen: Vec<(&str, u64)> = sizes.iter().map(|size| (size.text.as_str(), size.value)).collect();
        assert_eq!(seen, [("10", 10), ("64KB", 64_000), ("1MiB", 1_048_576)]);
        for wrong in [r#"["1 MiB"]"#, r#"["x"]"#, "[-1]", r#"["1GB"]"#] {
            assert!(serde_json::from_str::<Vec<Size>>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_summary_tells_quantiles() {
        let mut summary = Summary::default();
        assert_eq!((summary.mean(), summary.quantile(0.5)), (None, None));
        for seconds in [3.0, 1.0, 2.0, 4.0] {
            summary.note(Some(seconds), 7);
        }
        summary.note(None, 0);
        assert_eq!((summary.count(), summary.failed, summary.bytes), (5, 1, 7));
        assert_eq!(
            (summary.quantile(0.0), summary.quantile(0.5), summary.quantile(1.0)),
            (Some(1.0), Some(2.0), Some(4.0))
        );
        assert_eq!(summary.mean(), Some(2.5));
    }
}
