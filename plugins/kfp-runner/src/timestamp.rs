//! Instants as the server writes them: RFC 3339 in UTC, `2026-11-22T10:15:04Z`.

use kperf_plugin_sdk::{instant::Instant, records::Value};
use serde::{Deserialize, Deserializer};

/// An instant; none where the server writes one of its two ways of saying "not yet" (the years 1970 and 0001), or something
/// that is no instant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timestamp(pub Option<Instant>);

impl Timestamp {
    /// Seconds since the Unix epoch, if it is known.
    pub fn seconds(self) -> Option<f64> {
        self.0.map(Instant::unix_seconds)
    }

    /// Seconds from an earlier instant to this one, if both are known; a negative difference of two clocks counts as 0.
    pub fn since(self, earlier: Self) -> Option<f64> {
        Some(self.0?.since(earlier.0?))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(Instant::parse(&text).filter(|at| at.unix_ns() > 0)))
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        at.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_happened_has_no_instant() {
        for text in ["\"1970-01-01T00:00:00Z\"", "\"0001-01-01T00:00:00Z\"", "\"\"", "\"soon\""] {
            assert_eq!(serde_json::from_str::<Timestamp>(text).unwrap(), Timestamp(None), "{text}");
        }
        let known: Timestamp = serde_json::from_str("\"2026-11-22T10:15:04Z\"").unwrap();
        assert_eq!(known.seconds(), Some(1_795_342_504.0));
    }
}
