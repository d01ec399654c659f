//! Facts and incidents: what the result says beside figures.

use crate::bindings::kperf::plugin::notes;

/// Notes a fact about the system under test, for `run.json`: `fact("kubernetes", "v1.33.1")`. Of one key the last value stays.
pub fn fact(key: &str, value: &str) {
    notes::fact(key, value);
}

/// Notes an incident, which the result lists: a gap in what was observed. Equal kinds add up; the first message stays.
pub fn incident(kind: &str, message: &str, count: u64) {
    notes::incident(kind, message, count);
}
