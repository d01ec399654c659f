//! Rates as a suite writes them: `200/s`, `12000/m`, `5/h`.

use std::{fmt, str::FromStr, time::Duration};

/// So many events in a second, a minute or an hour.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Rate {
    count: f64,
    unit: RateUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum RateUnit {
    #[default]
    Second,
    Minute,
    Hour,
}

impl RateUnit {
    const ALL: [(&'static str, Self); 3] = [("s", Self::Second), ("m", Self::Minute), ("h", Self::Hour)];

    fn seconds(self) -> f64 {
        match self {
            Self::Second => 1.0,
            Self::Minute => 60.0,
            Self::Hour => 3600.0,
        }
    }
}

impl Rate {
    /// Events per second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        self.count / self.unit.seconds()
    }

    /// The time from one event to the next; None for no events at all.
    #[must_use]
    pub fn interval(self) -> Option<Duration> {
        (self.count > 0.0).then(|| Duration::try_from_secs_f64(1.0 / self.per_second()).unwrap_or(Duration::MAX))
    }

    /// Whether there are no events at all.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.count <= 0.0
    }
}

/// Why a text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate: write it like 200/s, 12000/m or 5/h")]
pub struct RateError(String);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = || RateError(text.to_owned());
        let (count, unit) = text.split_once('/').ok_or_else(error)?;
        let unit = RateUnit::ALL.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(error)?.1;
        let count = count.trim();
        if !count.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(error());
        }
        let count: f64 = count.parse().map_err(|_| error())?;
        // Beyond one event per nanosecond the engine's clock has no more instants to give.
        if !(0.0..=1e9).contains(&count) {
            return Err(error());
        }
        Ok(Self { count, unit })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = RateUnit::ALL.iter().find(|(_, unit)| *unit == self.unit).map_or("s", |(name, _)| name);
        write!(f, "{}/{unit}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, per_second) in [("200/s", 200.0), ("12000/m", 200.0), ("36/h", 0.01), ("0.5/s", 0.5), ("0/s", 0.0)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.per_second(), per_second, "{text}");
            assert_eq!(rate.to_string(), text);
        }
        assert_eq!("30/m".parse::<Rate>().unwrap().interval(), Some(Duration::from_secs(2)));
        assert_eq!("0/s".parse::<Rate>().unwrap().interval(), None);
    }

    #[test]
    fn refuses() {
        for text in ["", "200", "200/d", "/s", "-1/s", "nan/s", "inf/s", "1e300/s", "2000000000/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
