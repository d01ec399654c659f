//! Instants as the API shows them: RFC 3339 in UTC, whole seconds.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// Nanoseconds since the Unix epoch, the server's clock.
pub(crate) type Nanos = u64;

/// A whole second as the API writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// Seconds since 1970. Zero is how the server says "not yet" for runs and experiments.
    Epoch(u32),
    /// Go's zero time, how the server says "not yet" for tasks.
    Never,
}

impl Stamp {
    /// The second that `at` lies in.
    pub(crate) fn of(at: Nanos) -> Self {
        Self::Epoch(seconds(at))
    }

    /// The second that `at` lies in, 1970 if there is none.
    pub(crate) fn or_epoch(at: Option<Nanos>) -> Self {
        Self::Epoch(at.map_or(0, seconds))
    }
}

/// Whole seconds since the epoch; the database of the real server keeps no more either.
pub(crate) fn seconds(at: Nanos) -> u32 {
    u32::try_from(at / 1_000_000_000).unwrap_or(u32::MAX)
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epoch(s) => humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(u64::from(*s))).fmt(f),
            Self::Never => f.write_str("0001-01-01T00:00:00Z"),
        }
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Seconds since the epoch of an RFC 3339 text.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let at = humantime::parse_rfc3339(text).ok()?;
    i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_whole_seconds_and_both_ways_of_not_yet() {
        assert_eq!(Stamp::of(1_795_342_504_900_000_000).to_string(), "2026-11-22T10:15:04Z");
        assert_eq!(Stamp::or_epoch(None).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Stamp::Never.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(parse("2026-11-22T10:15:04Z"), Some(1_795_342_504));
        assert_eq!(parse("yesterday"), None);
    }
}
