//! Percentages as a suite writes them: `5%`, `0.1%`.

use std::{fmt, str::FromStr};

/// A share of a whole, from nothing to all of it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Default)]
pub struct Share {
    percent: f64,
}

impl Share {
    /// As a number from 0 to 1.
    #[must_use]
    pub fn ratio(self) -> f64 {
        self.percent / 100.0
    }
}

/// Why a text is no percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no percentage from 0% to 100%: write it like 5% or 0.1%")]
pub struct ShareError(String);

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let error = || ShareError(text.to_owned());
        let number = text.strip_suffix('%').ok_or_else(error)?.trim_end();
        let percent: f64 = number.parse().map_err(|_| error())?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(error());
        }
        Ok(Self { percent })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_shows_and_refuses() {
        let share: Share = "5%".parse().unwrap();
        assert_eq!((share.ratio(), share.to_string()), (0.05, "5%".to_owned()));
        assert_eq!("0.1%".parse::<Share>().unwrap().to_string(), "0.1%");
        for text in ["", "5", "%", "101%", "-1%", "nan%", "inf%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
