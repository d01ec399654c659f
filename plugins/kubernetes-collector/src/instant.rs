//! Instants as Kubernetes writes them: RFC 3339 in UTC, in whole seconds or with a fraction.

use serde::{Deserialize, Deserializer};

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub i64);

impl Instant {
    /// Seconds from an earlier instant to this one; a negative difference of two clocks counts as 0.
    pub fn since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0).max(0) as f64 / 1e9
    }

    /// For samples.
    pub fn nanoseconds(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        kperf_plugin_sdk::instant::parse(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no instant")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_never_negative() {
        assert!((Instant(2_500_000_000).since(Instant(500_000_000)) - 2.0).abs() < 1e-12);
        assert!(Instant(1).since(Instant(5)).abs() < 1e-12);
    }
}
