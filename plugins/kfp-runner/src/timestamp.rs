//! Instants as the server writes them: RFC 3339 in UTC, `2026-11-22T10:15:04Z`.

use kperf_plugin_sdk::instant;
use serde::{Deserialize, Deserializer};

/// Seconds since the Unix epoch; none where the server writes one of its two ways of saying "not yet" (the years 1970
/// and 0001), or something that is no instant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timestamp(pub Option<f64>);

impl Timestamp {
    /// Seconds from an earlier instant to this one, if both are known; a negative difference of two clocks counts as 0.
    pub fn since(self, earlier: Self) -> Option<f64> {
        Some((self.0? - earlier.0?).max(0.0))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(instant::parse(&text).filter(|&at| at > 0).map(|at| at as f64 / 1e9)))
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
    }

    #[test]
    fn differences_are_never_negative() {
        let at = |seconds| Timestamp(Some(seconds));
        assert_eq!(at(5.0).since(at(3.0)), Some(2.0));
        assert_eq!(at(3.0).since(at(5.0)), Some(0.0));
        assert_eq!(at(3.0).since(Timestamp(None)), None);
    }
}
